/** `jeton inspect T --mixture SAMPLES`: infers a tokenizer's training-data mixture from its merges. */
import { formatBytes } from "../../core/progress.ts";
import { formatTable } from "../../core/table.ts";
import {
  type InferredMixture,
  inferMixture,
  loadMergeList,
  type MixtureCategory,
  readSampleFolder,
} from "../../tokenizer/index.ts";
import type { CommandContext } from "../context.ts";
import { type MixtureDocument, type NamedMixture, writeJson } from "../json-output.ts";
import { createStatusLine, locateTokenizer } from "../options/locate.ts";

/** Infers and prints the mixture of each tokenizer from its first `merges` merges. */
export async function inspectMixture(
  context: CommandContext,
  names: readonly string[],
  options: { readonly samples: string; readonly merges: number; readonly json: boolean },
): Promise<void> {
  const categories = await readSampleFolder(options.samples);
  const mixtures: NamedMixture[] = [];
  for (const name of names) {
    const path = await locateTokenizer(context, name);
    const mixture = await inferOne(context, path, categories, options.merges);
    mixtures.push({ name, ...mixture });
  }
  const { stdout } = context;
  if (options.json) {
    const [first, ...others] = mixtures;
    await writeJson<MixtureDocument>(stdout, others.length === 0 ? first! : mixtures);
    return;
  }
  for (const [i, mixture] of mixtures.entries()) {
    if (i > 0) await stdout.write("\n");
    await stdout.write(`${formatMixture(mixture, stdout.style.bold, stdout.style.dim)}\n`);
  }
}

async function inferOne(
  context: CommandContext,
  path: string,
  categories: readonly MixtureCategory[],
  maxMerges: number,
): Promise<InferredMixture> {
  const line = createStatusLine(context);
  try {
    const list = await loadMergeList(path, { maxMerges });
    return await inferMixture(list, categories, {
      signal: context.signal,
      onProgress({ phase, done, total, round }) {
        const detail =
          round === undefined
            ? ""
            : `: round ${round.round}, ${round.constraints} constraints, ${round.added} more`;
        line.show(`${phase} ${Math.min(done + 1, total)} of ${total}${detail}`);
      },
    });
  } finally {
    line.clear();
  }
}

function formatMixture(
  mixture: NamedMixture,
  bold: (text: string) => string,
  dim: (text: string) => string,
): string {
  const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;
  const rows = [...mixture.shares]
    .sort((a, b) => b.share - a.share)
    .map(({ name, share, standardError, sampleBytes }) => [
      name,
      percent(share),
      standardError === undefined ? "" : percent(standardError),
      formatBytes(sampleBytes),
    ]);
  const table = formatTable(
    [
      { title: "category" },
      { title: "share of bytes", align: "right" },
      { title: "standard error", align: "right" },
      { title: "sample", align: "right" },
    ],
    rows,
    { styleHeading: dim },
  );
  const { merges, violatedMerges, violation, worstMerges, worstPairs, missingMerges } = mixture;
  const show = (pairs: readonly { readonly left: string; readonly right: string }[]): string =>
    pairs
      .slice(0, 5)
      .map(({ left, right }) => `${left}+${right}`)
      .join("  ");
  const lines = [
    bold(mixture.name),
    table,
    "",
    `${merges} merges read; ${violatedMerges} need slack, ${violation.toFixed(0)} pairs per million in all`,
  ];
  if (worstMerges.length > 0) lines.push(`least explained merges: ${show(worstMerges)}`);
  if (worstPairs.length > 0) lines.push(`too frequent in the samples: ${show(worstPairs)}`);
  if (missingMerges.length > 0) {
    const tokens = missingMerges.slice(0, 8).map(({ token }) => token);
    lines.push(`${missingMerges.length} merges occur in no sample: ${tokens.join("  ")}`);
  }
  lines.push(
    dim(
      "The standard error covers finite samples only; categories without a sample are not included.",
    ),
  );
  return lines.join("\n");
}
