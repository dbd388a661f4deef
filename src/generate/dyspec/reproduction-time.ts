/** Measures the time of DySpec. */
import { type ReproductionContext, ratioOfSums, type Sample } from "../../reproduce/index.ts";
import { type DrafterBench, round, tasksOf } from "../measure/reproduction-bench.ts";
import { type PlannedTask, sumMeasurements } from "../measure/reproduction-drafting.ts";
import type { Drafter } from "../speculative/drafter.ts";
import type { DraftSource } from "./draft-source.ts";
import { createDyspecDrafter } from "./dyspec-drafter.ts";
import type { StaticBench } from "./reproduction-static.ts";

type TimeId = "speed" | "growing-time";

/** Measures speed, and the time of growing trees without the draft's passes. */
export async function measureTime(
  { report }: ReproductionContext<TimeId>,
  { bench, source, requests }: StaticBench<TimeId>,
): Promise<void> {
  const { measured, others } = requests;
  const timed = timeSource(source);
  const create = (draft: DraftSource, calibrate = false): Drafter =>
    createDyspecDrafter(bench.model, { draft, calibrate });
  const warm = async (nodes: number): Promise<Drafter> => {
    const drafter = create(source, true);
    await bench.measure("dyspec, calibrated: learning", drafter, nodes, others);
    return drafter;
  };
  const found = await bench.reportSpeed("speed", tasksOf(measured), {
    "8 nodes": { drafter: create(source), maxDraft: 8 },
    "2 nodes": { drafter: create(source), maxDraft: 2 },
    "3 nodes": { drafter: create(source), maxDraft: 3 },
    "4 nodes": { drafter: create(source), maxDraft: 4 },
    "16 nodes": { drafter: create(timed.source), maxDraft: 16 },
    "8 nodes, calibrated": { drafter: await warm(8), maxDraft: 8 },
    "16 nodes, calibrated": { drafter: await warm(16), maxDraft: 16 },
  });
  // The source counts all of its passes: each request has its share by the time of drafting.
  const timedRequests = found["16 nodes"];
  const { draftSeconds, forwardPasses } = sumMeasurements(timedRequests);
  const passes = timed.seconds() / draftSeconds;
  const shareOf = (share: number): Sample =>
    ratioOfSums(
      timedRequests.map((one) => ({
        sum: 100 * share * one.draftSeconds,
        weight: one.seconds - one.draftSeconds,
      })),
    );
  report("growing-time", {
    measured: shareOf(1 - passes),
    control: shareOf(1),
    details: {
      growingMicroseconds: round((1e6 * (1 - passes) * draftSeconds) / forwardPasses),
      draftPassesMicroseconds: round((1e6 * passes * draftSeconds) / forwardPasses),
    },
  });
}

/** Speed with a target whose forward passes cost what a larger model's do. */
export async function measureWideTime(
  bench: DrafterBench<"speed-135m">,
  draft: DraftSource,
  tasks: readonly PlannedTask[],
): Promise<void> {
  const drafter = createDyspecDrafter(bench.model, { draft });
  await bench.reportSpeed("speed-135m", tasks, {
    "8 nodes": { drafter, maxDraft: 8 },
    "16 nodes": { drafter, maxDraft: 16 },
    "32 nodes": { drafter, maxDraft: 32 },
  });
}

/** A source, and the seconds of its passes. */
function timeSource(source: DraftSource): { readonly source: DraftSource; seconds(): number } {
  let total = 0;
  const timed: DraftSource = {
    name: source.name,
    begin(request, sampling) {
      const sequence = source.begin(request, sampling);
      return {
        distributionsBelow(ids) {
          const distributions = sequence.distributionsBelow(ids);
          return {
            async after(nodes, tree) {
              const begin = performance.now();
              const found = await distributions.after(nodes, tree);
              total += (performance.now() - begin) / 1000;
              return found;
            },
          };
        },
        end: () => sequence.end(),
      };
    },
  };
  return { source: timed, seconds: () => total };
}
