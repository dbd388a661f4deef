/** Which heads read the chunk of the passkey where the answer begins. */
import type { ContextPolicy, LoadedModel } from "../../model/index.ts";
import type { ReproductionContext } from "../../reproduce/index.ts";
import { type PasskeyPrompt, stepLast } from "../policies/reproduction-recall.ts";

/** What the heads of all layers read of one question's text, at its last token. */
export interface ChunksRead {
  /** Shares of the heads that read the chunk where the number stands, and the one where another question's does. */
  readonly own: number;
  readonly other: number;
  /** Share of all chunks that some head reads. */
  readonly coverage: number;
}

/** Chunks that are read, by question; remembered. */
export function measureChunks(
  context: Pick<ReproductionContext, "remember" | "progress" | "signal">,
  model: LoadedModel,
  prompts: readonly PasskeyPrompt[],
  {
    name,
    policy,
    chunk,
  }: { readonly name: string; readonly policy: ContextPolicy; readonly chunk: number },
): Promise<ChunksRead[]> {
  const settings = { options: policy.options, count: prompts.length };
  return context.remember(`chunks of ${name}`, settings, async () => {
    const view = model.withContextPolicy!(policy);
    const units = model.config.layers.length * model.config.numAttentionHeads;
    const found: ChunksRead[] = [];
    for (const [at, prompt] of prompts.entries()) {
      context.signal.throwIfAborted();
      context.progress(`chunks of ${name}`, at, prompts.length);
      const { ids } = prompt;
      // [layers, heads, capacity]
      const attended = (await stepLast(view, ids)).attended!;
      const capacity = attended.length / units;
      const chunks = Math.ceil(ids.length / chunk);
      const readers = (of: number): number => {
        let count = 0;
        for (let unit = 0; unit < units; unit++) {
          if (attended[unit * capacity + of * chunk]! > 0) count++;
        }
        return count;
      };
      const chunkOf = (distance: number): number => Math.floor((ids.length - distance) / chunk);
      const another = prompts[(at + 1) % prompts.length]!.distance;
      const all = Array.from({ length: chunks }, (_, of) => readers(of));
      found.push({
        own: all[chunkOf(prompt.distance)]! / units,
        other: all[chunkOf(Math.min(another, ids.length - 2 * chunk))]! / units,
        coverage: all.filter((count) => count > 0).length / chunks,
      });
    }
    return found;
  });
}
