/** `jeton reproduce`: measures what the papers claim. */
import { join } from "node:path";
import { createProgressLine } from "../../core/progress.ts";
import type { Reproduction, ReproductionResult, Verdict } from "../../reproduce/index.ts";
import { type System, systems } from "../../systems.ts";
import { type Command, defineCommand, UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type ReproduceDocument, writeJson } from "../json-output.ts";
import type { Style } from "../terminal/style.ts";
import { suggest } from "../terminal/suggest.ts";

export const command: Command = defineCommand({
  name: "reproduce",
  summary: "measure what a paper claims, beside the paper's number",
  description:
    "Measures the claims of published systems at a scale that fits a laptop, against baselines, with " +
    "a verdict for each: reproduced, partly, or not reproduced. Trained models are kept in the cache " +
    "folder, and an interrupted training is resumed. The " +
    "exit status is 0 if every claim was measured, independent of the verdicts, and 1 if something " +
    "failed or was skipped because data is missing that jeton data fetch downloads. Data that was made " +
    "from other files and cannot be downloaded is named, and what needs it is skipped.",
  positionals: [{ name: "system", repeatable: true }],
  options: {
    all: { kind: "flag", help: "all systems that are built, one after the other" },
    quick: { kind: "flag", help: "a small run, about half a minute; its verdicts only indicate" },
    skipSpeed: { kind: "flag", help: "leave out the claims about speed" },
    waitQuiet: {
      kind: "integer",
      value: "MINUTES",
      help: "wait so long before each measurement of time until other programs leave the machine quiet",
      default: 0,
    },
    seed: { kind: "integer", value: "N", help: "seed of all random numbers", default: 0 },
    fresh: { kind: "flag", help: "train and measure again what earlier runs left in the cache" },
    record: {
      kind: "flag",
      help: "write SYSTEM.json and SYSTEM.svg into reproductions/ of the current folder; implies --fresh",
    },
    quiet: { kind: "flag", short: "q", help: "no progress on standard error" },
  },
  examples: [
    {
      line: "jeton reproduce lexinvariant --quick",
      shows: "the claims about lexinvariant language models, in half a minute",
    },
    {
      line: "jeton reproduce lexinvariant --json --seed 1",
      shows: "the full measurement, as JSON",
    },
  ],
  async run(context, values, names) {
    const chosen = chooseSystems(names, values.all);
    if (values.record && values.quick) {
      throw new UsageError("record-quick", "--record keeps full runs only: leave --quick out", {
        found: "--quick",
      });
    }
    if (values.waitQuiet !== 0 && values.skipSpeed) {
      throw new UsageError(
        "wait-quiet-unused",
        "--wait-quiet waits before measurements of time, which --skip-speed leaves out: leave one out",
        { found: "--wait-quiet" },
      );
    }
    let status = 0;
    for (const system of chosen) {
      try {
        const isDone = await reproduceOne(context, system, values);
        if (!isDone) status = 1;
      } catch (error) {
        // With several systems a failure is reported and the next one runs.
        if (chosen.length === 1 || context.signal.aborted) throw error;
        await reportFailure(context, system, error, values.json);
        status = 1;
      }
    }
    return status;
  },
});

interface ReproduceValues {
  readonly quick: boolean;
  readonly seed: number;
  readonly fresh: boolean;
  readonly record: boolean;
  readonly skipSpeed: boolean;
  readonly waitQuiet: number;
  readonly quiet: boolean;
  readonly json: boolean;
}

/** Runs and reports one system; returns false if a claim was skipped for data that can be downloaded, or not recorded. */
async function reproduceOne(
  context: CommandContext,
  system: System,
  values: ReproduceValues,
): Promise<boolean> {
  const { stdout, stderr, signal, environment } = context;
  const {
    checkLoad,
    checkPlotPackages,
    formatResult,
    recordResult,
    renderClaims,
    renderPlot,
    runReproduction,
    sampleLoad,
    speedClaims,
    withoutLoadedSpeed,
  } = await import("../../reproduce/index.ts");
  // A result of hours is not lost for want of a package.
  if (values.record) await checkPlotPackages();
  const reproduction = (await system.reproduction!()).reproduction;
  const line = createProgressLine({
    write: (text) => void stderr.write(text),
    isTerminal: stderr.isTerminal,
  });
  // Before hours of measuring. A measurement that waits for a quiet machine may begin on a loaded one.
  const isChecked = values.record && values.waitQuiet === 0;
  if (isChecked && speedClaims(reproduction, values.skipSpeed).length > 0) {
    checkLoad(reproduction, await sampleLoad(), values.skipSpeed);
  }
  const { result, plot } = await runReproduction(reproduction, {
    seed: values.seed,
    quick: values.quick,
    skipSpeed: values.skipSpeed,
    waitQuiet: values.waitQuiet,
    fresh: values.fresh || values.record,
    signal,
    environment,
    onNotice: (text) => {
      line.clear();
      void stderr.write(`${text}\n`);
    },
    ...(!values.quiet && {
      onProgress: (text) => (text === undefined ? line.clear() : line.show(text)),
    }),
  }).finally(() => line.clear());
  const isComplete = result.skipped === undefined;
  if (values.record && isComplete) {
    const recorded = withoutLoadedSpeed(result, reproduction);
    if (recorded !== result) {
      const lost = result.claims.filter((claim) => !recorded.claims.includes(claim));
      const { loadAverage, coresBusyElsewhere } = lost[0]!.load ?? result.load;
      await stderr.write(
        `jeton: warning: the machine was loaded (load average ${loadAverage}, ${coresBusyElsewhere} cores busy ` +
          `elsewhere): claims about speed are not recorded (${lost.map(({ id }) => id).join(", ")})\n`,
      );
    }
    const svg = await (plot === undefined ? renderClaims(recorded) : renderPlot(plot));
    const paths = await recordResult(join(process.cwd(), "reproductions"), recorded, svg);
    await stderr.write(`written: ${paths.json}, ${paths.svg}\n`);
  }
  if (values.json) await writeJson<ReproduceDocument>(stdout, result);
  else
    await stdout.write(formatForTerminal(stdout.style, result, reproduction, formatResult, system));
  if (isComplete) return true;
  if (values.record) {
    await stderr.write("not recorded: something was skipped\n");
    return false;
  }
  return result.skipped!.files.every(({ derived }) => derived !== undefined);
}

function formatForTerminal(
  style: Style,
  result: ReproductionResult,
  reproduction: Reproduction,
  formatResult: typeof import("../../reproduce/index.ts").formatResult,
  system: System,
): string {
  const colors: Record<Verdict | "skipped", (text: string) => string> = {
    reproduced: style.green,
    partly: style.cyan,
    "not reproduced": style.red,
    skipped: style.dim,
  };
  const source = system.arxiv === undefined ? "" : `, arXiv ${system.arxiv}`;
  const table = formatResult(result, reproduction.claims, {
    styleVerdict: (text, verdict) => colors[verdict](text),
    styleHeading: style.bold,
  });
  // Many titles begin with the system's name.
  const begins = system.paper.toLowerCase().startsWith(`${system.name.toLowerCase()}:`);
  const title = begins
    ? style.bold(system.name) + system.paper.slice(system.name.length)
    : `${style.bold(system.name)}: ${system.paper}`;
  return `${title}${source}\n\n${table}`;
}

/**
 * The requested systems.
 *
 * @throws UsageError `system-missing`, `system-unknown`, `system-not-built`
 */
function chooseSystems(names: readonly string[], all: boolean): System[] {
  const built = systems.filter((system) => system.built);
  if (all && names.length === 0) return built;
  const list = built.map(({ slug }) => slug).join(", ");
  if (all || names.length === 0) {
    throw new UsageError(
      "system-missing",
      all
        ? "either name systems or give --all, not both"
        : `name a system, or give --all; these are built: ${list}`,
      { expected: built.map(({ slug }) => slug) },
    );
  }
  return [...new Set(names)].map((name) => {
    const system = systems.find(({ slug }) => slug === name);
    if (system?.built) return system;
    if (system !== undefined) {
      throw new UsageError(
        "system-not-built",
        `${name} is planned but not built yet; these are built: ${list}`,
        { found: name, expected: built.map(({ slug }) => slug) },
      );
    }
    const near = suggest(
      name,
      systems.map(({ slug }) => slug),
    );
    throw new UsageError(
      "system-unknown",
      `there is no system ${JSON.stringify(name)}; ` +
        (near === undefined ? "jeton systems lists them" : `did you mean ${near}?`),
      { found: name, ...(near !== undefined && { suggestion: near }) },
    );
  });
}

async function reportFailure(
  { stdout, stderr }: CommandContext,
  { slug }: System,
  error: unknown,
  json: boolean,
): Promise<void> {
  const message = error instanceof Error ? error.message : String(error);
  const code = (error as { code?: unknown } | null)?.code;
  if (json) {
    const shown = { code: typeof code === "string" ? code : "unexpected", message };
    await writeJson<ReproduceDocument>(stdout, { system: slug, error: shown });
  }
  await stderr.write(`${stderr.style.red("error:")} ${slug}: ${message}\n`);
}
