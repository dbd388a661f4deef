/**
 * Measures Token Recycling: tokens per forward pass on requests of four kinds, beside prompt lookup, a chain,
 * and itself with an empty table.
 */
import { loadModel } from "../../model/index.ts";
import {
  defineReproduction,
  type Plot,
  type Reproduction,
  type ReproductionContext,
} from "../../reproduce/index.ts";
import {
  type BenchSettings,
  type ByKind,
  DrafterBench,
  kindsPanel,
  lengthOf,
  lengthsByName,
  onTinyStories,
  type Requests,
  type SpeedSetting,
  tasksOf,
} from "../measure/reproduction-bench.ts";
import { drafterClaims, lengthRatioClaim, wideSpeedClaim } from "../measure/reproduction-claims.ts";
import { decodingTaskKinds } from "../measure/reproduction-tasks.ts";
import { onWidened } from "../measure/reproduction-widened.ts";
import { createPromptLookupDrafter } from "../speculative/prompt-lookup.ts";
import { createTemplate, type DraftTemplate, publishedTemplate } from "./draft-template.ts";
import {
  createTokenRecyclingDrafter,
  type TokenRecycling,
  type TokenRecyclingOptions,
} from "./token-recycling.ts";

const speedup = { value: 2.03, unit: "times faster", setting: "7B, A100; 1.53 with prompt lookup" };

const claims = [
  ...drafterClaims({
    setting: "published tree of 80 nodes, table filled by other requests",
    paper: { value: 2.7, unit: "tokens/pass", compares: "measured", setting: "7B, Spec-Bench" },
    reproduced: 2,
    partly: 1.5,
    sampled: { paper: { words: "greedy only" }, reproduced: 1.6, partly: 1.3 },
    draftingTime: {
      activity: "drafting and learning (16 nodes)",
      paper: { words: "negligible" },
      partly: 10,
    },
    speed: { value: 2.03, unit: "times", compares: "effect", setting: "7B, A100" },
    speedSetting: "greedy, in turns, jeton-nano in fp32, the best of 2, 3, 4, 8 and 16 nodes",
  }),
  wideSpeedClaim(
    { value: 2.03, unit: "times", compares: "effect", setting: "7B, A100" },
    "greedy, in turns, fp32, the best of 8, 16 and 32 nodes",
  ),
  lengthRatioClaim(
    "beats-prompt-lookup",
    "Tokens per forward pass on prose and TypeScript, where the prompt does not hold the answer, beside prompt lookup (matches of up to 3 tokens, 10 draft tokens)",
    { paper: speedup, reproduced: 1.1, partly: 1.01 },
  ),
  lengthRatioClaim("warm-table", "A table filled by other requests beside an empty one", {
    paper: { words: "inherited between requests, not reported alone" },
    reproduced: 1.05,
    partly: 1.005,
  }),
  lengthRatioClaim("tree-beats-chain", "The tree beside its longest branch alone", {
    paper: { words: "part of the method, not reported alone" },
    reproduced: 1.1,
    partly: 1.01,
  }),
  lengthRatioClaim(
    "shaped-tree",
    "Ours: a tree of 16 nodes shaped by the table's confidence, beside the first 16 nodes of the published one",
    { paper: { words: "not in the paper" }, reproduced: 1.02, partly: 1.002, fullOnly: true },
  ),
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

/** Sizes of the tree: from those that pay on a CPU to the paper's on an accelerator. */
const sizes = { quick: [16, 80], full: [8, 16, 32, 80] } as const;
/** Those whose speed is measured: few nodes pay where a forward pass is short. */
const speedSizes = [2, 3, 4, 8, 16] as const;

/** The paper's fixed tree. */
const published = { tree: "template", template: publishedTemplate } as const;

/** Its longest branch: always the most probable successor. */
const chain: DraftTemplate = createTemplate(
  Array.from({ length: 6 }, (_, depth) => new Array<number>(depth + 1).fill(0)),
);

export const reproduction: Reproduction = defineReproduction({
  system: "token-recycling",
  module: import.meta.url,
  models: ["jeton-nano"],
  claims,
  async run(context) {
    const plot = await context.part(() => measureNano(context));
    await context.part(() =>
      onTinyStories(context, settingsOf(context), async (bench, { measured, others }) => {
        const drafter = createTokenRecyclingDrafter(bench.model, published);
        await bench.measure("TinyStories, filling the table", drafter, 80, others);
        const byKind = await bench.measure("TinyStories", drafter, 80, measured);
        const shuffled = await bench.measureShuffled(drafter, 80, measured);
        bench.reportLength("accepted-length-tinystories", byKind, shuffled);
      }),
    );
    if (!context.quick && context.speed) {
      const settings = { count: 4, maxTokens: 48, others: { count: 8, minTokens: 8 } };
      await context.part(() =>
        onWidened(context, settings, (bench, requests) =>
          context.timed(() => measureWide(bench, requests)),
        ),
      );
    }
    return plot;
  },
});

/** Speed with a target whose forward passes cost what a larger model's do. */
async function measureWide(bench: DrafterBench<Id>, { measured, others }: Requests): Promise<void> {
  const settings: Record<string, SpeedSetting> = {};
  for (const maxDraft of [8, 16, 32]) {
    const drafter = createTokenRecyclingDrafter(bench.model, {});
    await bench.measure("filling the table", drafter, 80, others);
    settings[`${maxDraft} nodes`] = { drafter, maxDraft };
  }
  await bench.reportSpeed("speed-135m", tasksOf(measured), settings);
}

function settingsOf({ quick }: Context): BenchSettings {
  return quick
    ? { count: 2, maxTokens: 16 }
    : { count: 64, maxTokens: 96, others: { count: 12, minTokens: 8 } };
}

async function measureNano(context: Context): Promise<Plot> {
  // The method verifies whole trees.
  await using model = await loadModel(await context.model(), { format: "f32", exact: false });
  const bench = new DrafterBench(context, model, settingsOf(context));
  const { measured, others } = await bench.plan({ greedy: true });
  /** A drafter whose table other requests filled. */
  const warm = async (
    options: TokenRecyclingOptions,
    requests: Requests["others"] = others,
  ): Promise<TokenRecycling> => {
    const drafter = createTokenRecyclingDrafter(model, options);
    await bench.measure("filling the table", drafter, 80, requests);
    return drafter;
  };
  const state = (await warm(published)).save();
  /** Every setting starts from the same table, so that none learns from another's requests. */
  const fromState = (options: TokenRecyclingOptions): TokenRecycling => {
    const drafter = createTokenRecyclingDrafter(model, options);
    drafter.load(state);
    return drafter;
  };

  const bySize = new Map<number, ByKind>();
  for (const size of context.quick ? sizes.quick : sizes.full) {
    bySize.set(size, await bench.measure("published tree", fromState(published), size, measured));
  }
  const hot = bySize.get(80)!;
  const shuffled = await bench.measureShuffled(fromState(published), 80, measured);
  const byNodes = lengthsByName(Object.fromEntries(bySize));
  bench.reportLength("accepted-length", hot, shuffled, { details: { byNodes } });
  const empty = createTokenRecyclingDrafter(model, published);
  const cold = await bench.measure("empty table", empty, 80, measured);
  bench.compare("warm-table", hot, ["an empty table", cold], shuffled);
  const lookup = await bench.measure(
    "prompt lookup",
    createPromptLookupDrafter({ length: 10 }),
    10,
    measured,
  );
  bench.compare("beats-prompt-lookup", hot, ["prompt lookup", lookup], shuffled, {
    kinds: ["prose", "code"],
  });
  const straight = fromState({ ...published, template: chain });
  const chained = await bench.measure("chain", straight, 80, measured);
  bench.compare("tree-beats-chain", hot, ["a chain of six", chained], shuffled);
  if (!context.quick) {
    const drafter = await warm({ tree: "confidence" });
    const shaped = await bench.measure("shaped tree", drafter, 16, measured);
    const first = ["16 nodes of the published tree", bySize.get(16)!] as const;
    bench.compare("shaped-tree", shaped, first, shuffled);
  }

  const sampled = await bench.plan({ temperature: 0.8 });
  const drafter = await warm(published, sampled.others);
  const atTemperature = await bench.measure("temperature 0.8", drafter, 80, sampled.measured);
  const sampledControl = await bench.measureShuffled(drafter, 80, sampled.measured);
  bench.reportLength("accepted-length-sampled", atTemperature, sampledControl);
  bench.reportIdentity("identical-text");
  if (!context.quick && context.speed) {
    const settings: Record<string, SpeedSetting> = {};
    for (const maxDraft of speedSizes) {
      settings[`${maxDraft} nodes`] = { drafter: await warm({}), maxDraft };
    }
    await context.timed(async () => {
      const found = await bench.reportSpeed("speed", tasksOf(measured), settings);
      bench.reportDraftingTime("drafting-time", found["16 nodes"]!);
    });
  }
  return plotOf(bySize, lookup);
}

function plotOf(bySize: ReadonlyMap<number, ByKind>, lookup: ByKind): Plot {
  return {
    title: "Token Recycling on jeton-nano, greedy",
    panels: [
      {
        title: "Tokens per forward pass by the size of the tree",
        kind: "line",
        x: { title: "nodes", scale: "log" },
        y: { title: "tokens per forward pass" },
        series: decodingTaskKinds.map((kind) => ({
          name: kind,
          points: [...bySize].map(([x, byKind]) => ({ x, y: lengthOf(byKind, [kind]) })),
        })),
      },
      kindsPanel("Beside prompt lookup (10 draft tokens)", {
        "prompt lookup": lookup,
        "token recycling, 16 nodes": bySize.get(16)!,
        "token recycling, 80 nodes": bySize.get(80)!,
      }),
    ],
  };
}
