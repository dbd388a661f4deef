/** `jeton run` with an encoder-decoder: it reads the prompt and writes another text from it. */
import { JetonError } from "../../core/error.ts";
import type { GenerateOptions } from "../../generate/types.ts";
import type { NamedCheckpoint } from "../../model/weights/open-named-checkpoint.ts";
import { defined, UsageError } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { withDrafter } from "../options/drafting.ts";
import { severalOf } from "../options/generation.ts";
import { refuseHealing } from "../options/healing.ts";
import { loadAndUse } from "../options/load-and-use.ts";
import { refuseMisplaced } from "../options/misplaced.ts";
import type { ModelValues } from "../options/model-options.ts";
import { type RunOutputOptions, runOne, runSeveral } from "./run-output.ts";

/** The error for a model that generates nothing. */
export function notGenerating(model: string): JetonError {
  return new JetonError(
    `${model} is an encoder, which generates no text: use jeton embed, classify or fill`,
    { code: "model-kind-unsupported", details: { model, kind: "encoder" } },
  );
}

/** Options that only decoders have a use for. */
interface DecoderOnly {
  readonly system: string | undefined;
  readonly context: number | undefined;
  readonly inexact: boolean;
  readonly prefillChunk: number | undefined;
  readonly heal: string | undefined;
}

/**
 * Refuses what an encoder-decoder cannot do, and options that it would ignore.
 *
 * @throws UsageError `prompt-missing`, `option-misplaced`, `system-unsupported`
 */
export function checkSource(values: DecoderOnly, isChat: boolean): void {
  if (isChat) {
    throw new UsageError(
      "prompt-missing",
      "no prompt: an encoder-decoder reads a text and does not chat",
    );
  }
  if (values.system !== undefined) {
    throw new UsageError(
      "system-unsupported",
      "--system needs a chat model, not an encoder-decoder",
    );
  }
  const why = "means nothing for an encoder-decoder";
  refuseHealing(values, `${why}, which reads a prompt and does not continue it`);
  refuseMisplaced(values, ["context"], `${why}: --max-tokens limits what it writes`);
  refuseMisplaced(values, ["inexact"], `${why}, whose passes are never exact`);
  refuseMisplaced(values, ["prefillChunk"], `${why}, which reads its prompt in one pass`);
}

/** Loads an encoder-decoder, reads the text, and prints what is written from it. */
export async function runSource(
  context: CommandContext,
  found: NamedCheckpoint,
  text: string,
  generation: GenerateOptions,
  values: Pick<ModelValues, "format" | "threads"> &
    RunOutputOptions &
    Parameters<typeof withDrafter>[1] & { readonly sequences: number },
): Promise<void> {
  const { loadNamedSeq2Seq } = await import("../../model/seq2seq/load-seq2seq.ts");
  return loadAndUse(
    context,
    (reports) =>
      loadNamedSeq2Seq(found, {
        ...defined({ format: values.format, threads: values.threads }),
        ...reports,
      }),
    async (model) => {
      const decoder = await model.read(text, { signal: context.signal });
      await withDrafter(context, values, decoder, async (drafter) => {
        const options = drafter ? { ...generation, drafter } : generation;
        const run = { context, model: decoder, prompt: [decoder.bosTokenId!], options };
        if (values.sequences === 1) return runOne(run, values);
        return runSeveral(severalOf(run, values.sequences), values);
      });
      await decoder.close();
    },
  );
}
