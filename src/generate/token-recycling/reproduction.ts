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
  lengthsByName,
  onTinyStories,
  type Requests,
  tasksOf,
} from "../measure/reproduction-bench.ts";
import { drafterClaims, lengthRatioClaim } from "../measure/reproduction-claims.ts";
import { meanAcceptanceLength } from "../measure/reproduction-drafting.ts";
import { decodingTaskKinds } from "../measure/reproduction-tasks.ts";
import { createPromptLookupDrafter } from "../speculative/prompt-lookup.ts";
import { createTemplate, type DraftTemplate, publishedTemplate } from "./draft-template.ts";
import { SuccessorTable } from "./successor-table.ts";
import {
  createTokenRecyclingDrafter,
  type TokenRecycling,
  type TokenRecyclingOptions,
} from "./token-recycling.ts";

const claims = [
  ...drafterClaims({
    setting: "published tree of 80 nodes, table filled by other requests",
    paper: 2.7,
    reproduced: 2,
    partly: 1.5,
    sampled: { paper: "greedy only", reproduced: 1.6, partly: 1.3 },
    draftingTime: { activity: "drafting and learning", paper: "negligible", partly: 10 },
    speed: "2.03 times (7B, A100)",
  }),
  lengthRatioClaim(
    "beats-prompt-lookup",
    "Tokens per forward pass on prose and TypeScript, where the prompt does not hold the answer, beside prompt lookup (matches of up to 3 tokens, 10 draft tokens)",
    {
      paper: "speedups of 2.03 and 1.53 over all categories (7B)",
      reproduced: 1.1,
      partly: 1,
    },
  ),
  lengthRatioClaim("warm-table", "A table filled by other requests beside an empty one", {
    paper: "inherited between requests, not reported alone",
    reproduced: 1.05,
    partly: 1,
  }),
  lengthRatioClaim("tree-beats-chain", "The tree beside its longest branch alone", {
    paper: "part of the method, not reported alone",
    reproduced: 1.1,
    partly: 1,
  }),
  lengthRatioClaim(
    "shaped-tree",
    "A tree of 16 nodes shaped by the table's confidence, beside the first 16 nodes of the published one",
    { paper: "not in the paper: ours", reproduced: 1.02, partly: 0.98, fullOnly: true },
  ),
  {
    id: "memory",
    text: "Table for a vocabulary of 32,000 tokens",
    paper: 1.95,
    unit: "MB",
    direction: "lower",
    effect: "value",
    reproduced: 1.95,
    partly: 3,
  },
] as const;

type Id = (typeof claims)[number]["id"];
type Context = ReproductionContext<Id>;

/** Sizes of the tree: from those that pay on a CPU to the paper's on an accelerator. */
const sizes = { quick: [16, 80], full: [8, 16, 32, 80] } as const;

/** The paper's fixed tree. */
const published = { tree: "template", template: publishedTemplate } as const;

/** Its longest branch: always the most probable successor. */
const chain: DraftTemplate = createTemplate(
  Array.from({ length: 6 }, (_, depth) => new Array<number>(depth + 1).fill(0)),
);

export const reproduction: Reproduction = defineReproduction({
  system: "token-recycling",
  claims,
  async run(context) {
    context.report("memory", {
      measured: new SuccessorTable(32_000).bytes / 1e6,
      baseline: 1.95,
      baselineName: "the authors' table of 64-bit integers",
    });
    const plot = await context.part(() => measureNano(context));
    await context.part(() =>
      onTinyStories(context, settingsOf(context), async (bench, { measured, others }) => {
        const drafter = createTokenRecyclingDrafter(bench.model, published);
        await bench.measure("TinyStories, filling the table", drafter, 80, others);
        const byKind = await bench.measure("TinyStories", drafter, 80, measured);
        bench.reportLength("accepted-length-tinystories", byKind);
      }),
    );
    return plot;
  },
});

function settingsOf({ quick }: Context): BenchSettings {
  return quick ? { count: 2, maxTokens: 24 } : { count: 10, maxTokens: 96 };
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
  bench.reportLength("accepted-length", hot, {
    byNodes: lengthsByName(Object.fromEntries(bySize)),
  });
  const empty = createTokenRecyclingDrafter(model, published);
  const cold = await bench.measure("empty table", empty, 80, measured);
  bench.compare("warm-table", hot, cold, "an empty table");
  const lookup = await bench.measure(
    "prompt lookup",
    createPromptLookupDrafter({ length: 10 }),
    10,
    measured,
  );
  bench.compare("beats-prompt-lookup", hot, lookup, "prompt lookup", { kinds: ["prose", "code"] });
  const straight = fromState({ ...published, template: chain });
  const chained = await bench.measure("chain", straight, 80, measured);
  bench.compare("tree-beats-chain", hot, chained, "a chain of six");
  if (!context.quick) {
    const drafter = await warm({ tree: "confidence" });
    const shaped = await bench.measure("shaped tree", drafter, 16, measured);
    bench.compare("shaped-tree", shaped, bySize.get(16)!, "16 nodes of the published tree");
  }

  const sampled = await bench.plan({ temperature: 0.8 });
  const drafter = await warm(published, sampled.others);
  const atTemperature = await bench.measure("temperature 0.8", drafter, 80, sampled.measured);
  bench.reportLength("accepted-length-sampled", atTemperature);
  bench.reportIdentity("identical-text");
  if (!context.quick) {
    const found = await bench.reportSpeed("speed", tasksOf(measured), {
      "8 nodes": { drafter: await warm({}), maxDraft: 8 },
      "16 nodes": { drafter: await warm({}), maxDraft: 16 },
    });
    bench.reportDraftingTime("drafting-time", found["16 nodes"]);
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
          points: [...bySize].map(([x, byKind]) => ({ x, y: meanAcceptanceLength(byKind[kind]) })),
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
