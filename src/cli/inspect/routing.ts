/** `jeton inspect M --routing TEXT`: which experts a sparse model sends the tokens of a text to. */
import { basename } from "node:path";
import { readConfig, textConfig, writeFileAtomically } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/error.ts";
import { formatTable } from "../../core/table.ts";
import {
  expertLoads,
  type LoadedModel,
  loadModel,
  modelKind,
  type RoutingFactor,
  type RoutingTrace,
  recordRouting,
  specialization,
  staticTable,
  tableAgreement,
  topTokens,
} from "../../model/index.ts";
import type { CommandContext } from "../context.ts";
import { type LayerRouting, type RoutingDocument, writeJson } from "../json-output.ts";
import { readTextFile } from "../options/input.ts";
import { createStatusLine, locateModel } from "../options/locate.ts";

/** Options of `inspectRouting`. */
export interface InspectRoutingOptions {
  /** Text files; each is a domain of its own. */
  readonly texts: readonly string[];
  /** File for the plot of loads by layer and expert. */
  readonly svg: string | undefined;
  readonly json: boolean;
}

/** Values of a factor with fewer tokens say little about a router. */
const minCount = 16;

/** Records the routing of texts and prints what it depends on, layer by layer. */
export async function inspectRouting(
  context: CommandContext,
  name: string,
  options: InspectRoutingOptions,
): Promise<void> {
  const texts = await Promise.all(
    options.texts.map(async (path) => ({ text: await readTextFile(path), domain: basename(path) })),
  );
  const path = await locateModel(context, name, { weights: true });
  await refuseOtherKinds(path);
  const line = createStatusLine(context);
  let report: RoutingDocument;
  try {
    await using model = await loadModel(path, {
      signal: context.signal,
      slots: 1,
      onWarning: ({ message }) => {
        line.clear();
        void context.stderr.write(`jeton: warning: ${message}\n`);
      },
    });
    const trace = await recordRouting(model, texts, {
      signal: context.signal,
      onProgress: (tokens) => line.show(`${tokens} tokens read`),
    });
    if (trace.ids.length === 0) {
      throw new JetonError("the texts have no tokens, expected at least one", {
        code: "routing-text-empty",
        details: { texts: options.texts },
      });
    }
    report = describeRouting(name, model, trace);
  } finally {
    line.clear();
  }
  if (options.svg !== undefined) await writeFileAtomically(options.svg, renderLoads(report));
  const { stdout } = context;
  if (options.json) await writeJson<RoutingDocument>(stdout, report);
  else await stdout.write(`${formatRouting(report, stdout.style.bold, stdout.style.dim)}\n`);
}

/** @throws JetonError `model-experts-none` for encoders and encoder-decoders, none of which has experts here */
async function refuseOtherKinds(path: string): Promise<void> {
  const config = await readConfig(path);
  const kind = modelKind(config);
  if (kind === "decoder") return;
  const family = textConfig(config).model_type;
  const what = kind === "encoder" ? "an encoder" : "an encoder-decoder";
  throw new JetonError(`${path} (${family}) is ${what}, which has no experts`, {
    code: "model-experts-none",
    details: { family, kind },
  });
}

function describeRouting(name: string, model: LoadedModel, trace: RoutingTrace): RoutingDocument {
  const { experts, perToken, domainNames } = trace;
  const sparse = [...model.config.layers.entries()].filter(([, layer]) => layer.sparse);
  const layers = sparse.map(([index], layer): LayerRouting => {
    const of = (by: RoutingFactor): number | null => {
      const { information } = specialization(trace, by, { layer, minCount });
      return Number.isNaN(information) ? null : information;
    };
    const loads = expertLoads(trace, { layer });
    // The table is made from the first half of the text and read on the second.
    const half = trace.ids.length >> 1;
    const agreement = tableAgreement(
      sliceTrace(trace, half, trace.ids.length),
      staticTable(sliceTrace(trace, 0, half), { layer }),
      { layer },
    );
    return {
      layer: index,
      loads,
      unused: loads.filter((load) => load === 0).length,
      information: { token: of("token"), position: of("position"), domain: of("domain") },
      tableAgreement:
        half === 0 ? null : agreement.reduce((a, b) => a + b, 0) / Math.max(1, agreement.length),
      topTokens: loads.map((_, expert) =>
        topTokens(trace, expert, { layer, count: 5 }).map(({ id }) => model.tokenizer.decode([id])),
      ),
    };
  });
  return { name, tokens: trace.ids.length, experts, perToken, domains: domainNames, layers };
}

/** Tokens `start` to `end` as a trace of one sequence. */
function sliceTrace(trace: RoutingTrace, start: number, end: number): RoutingTrace {
  const width = trace.layers * trace.perToken;
  return {
    ...trace,
    ids: trace.ids.slice(start, end),
    positions: trace.positions.slice(start, end),
    sequences: new Int32Array(end - start),
    domains: trace.domains.slice(start, end),
    choices: trace.choices.slice(start * width, end * width),
    weights: trace.weights.slice(start * width, end * width),
  };
}

function formatRouting(
  { name, tokens, experts, perToken, layers }: RoutingDocument,
  bold: (text: string) => string,
  dim: (text: string) => string,
): string {
  const percent = (share: number | null): string =>
    share === null ? "–" : `${Math.max(0, 100 * share).toFixed(1)} %`;
  const table = formatTable(
    [
      { title: "layer" },
      { title: "least used", align: "right" },
      { title: "most used", align: "right" },
      { title: "unused", align: "right" },
      { title: "by token", align: "right" },
      { title: "by position", align: "right" },
      { title: "by domain", align: "right" },
      { title: "table agrees", align: "right" },
    ],
    layers.map(({ layer, loads, unused, information, tableAgreement: agreement }) => [
      String(layer),
      percent(Math.min(...loads)),
      percent(Math.max(...loads)),
      String(unused),
      percent(information.token),
      percent(information.position),
      percent(information.domain),
      percent(agreement),
    ]),
    { styleHeading: dim },
  );
  const last = layers.at(-1)!;
  const tops = last.topTokens
    .slice(0, 8)
    .map(
      (tokensOf, expert) =>
        `  expert ${expert}: ${tokensOf.map((t) => JSON.stringify(t)).join(" ")}`,
    );
  return [
    bold(`${name}: ${experts} experts, ${perToken} for each of ${tokens} tokens`),
    table,
    "",
    dim(
      "By token, position, domain: share of the information about the first expert that it holds.",
    ),
    dim(
      "Table agrees: first choices of the text's second half that a table of its first half predicts.",
    ),
    "",
    `Most frequent tokens of experts in layer ${last.layer}:`,
    ...tops,
  ].join("\n");
}

const [cell, left, top] = [14, 60, 34];

/** Loads of every expert (columns) in every layer (rows): the darker, the more choices. */
function renderLoads({ name, experts, layers }: RoutingDocument): string {
  const width = left + experts * cell + 10;
  const height = top + layers.length * cell + 10;
  const escaped = (text: string): string =>
    text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
  const cells = layers.flatMap(({ layer, loads }, row) => {
    const y = top + row * cell;
    const label = `<text x="${left - 6}" y="${y + cell - 3}" text-anchor="end">${layer}</text>`;
    const squares = loads.map((load, expert) => {
      // Twice the even share is full colour.
      const strength = Math.min(1, (load * experts) / 2).toFixed(3);
      const title = `<title>layer ${layer}, expert ${expert}: ${(100 * load).toFixed(2)} %</title>`;
      const place = `x="${left + expert * cell}" y="${y}" width="${cell - 1}" height="${cell - 1}"`;
      return `<rect ${place} fill="#1f5fa8" fill-opacity="${strength}">${title}</rect>`;
    });
    return [label, ...squares];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    `<text x="10" y="18" font-size="13">Choices by layer and expert: ${escaped(name)}</text>`,
    ...cells,
    "</svg>\n",
  ].join("\n");
}
