/** `jeton context pack`: compresses a text once, so that prompts can be answered from its embeddings. */
import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { PackedContext } from "../../../context/index.ts";
import { JetonError } from "../../../core/error.ts";
import { formatBytes, formatCount, formatDuration } from "../../../core/progress.ts";
import type { NamedCheckpoint } from "../../../model/weights/open-named-checkpoint.ts";
import { type Command, defineCommand, UsageError } from "../../command.ts";
import type { ContextPackDocument } from "../../json-context.ts";
import { writeJson } from "../../json-output.ts";
import { readStandardInput, readTextFile } from "../../options/input.ts";
import { createStatusLine } from "../../options/locate.ts";
import { modelOptions, withCheckpoint } from "../../options/model-options.ts";

const options = {
  model: modelOptions.model,
  compressor: {
    kind: "text",
    short: "c",
    value: "FILE",
    help: "compressor of the model, as jeton train compressor writes it",
  },
  out: { kind: "text", short: "o", value: "FILE", help: "the packed text" },
  factor: {
    kind: "integer",
    value: "K",
    min: 1,
    default: 1,
    help: "hold only one embedding for so many tokens; answers may then use multiples of it alone",
  },
  dtype: {
    kind: "text",
    value: "TYPE",
    choices: ["F32", "F16", "BF16"],
    default: "F16",
    help: "type of the stored embeddings",
  },
  acceptOtherModel: {
    kind: "flag",
    help: "take a compressor that was trained for another model of the same sizes, such as the one that this model was fine-tuned from",
  },
  threads: modelOptions.threads,
} as const;

export const command: Command = defineCommand({
  name: "context pack",
  summary: "compress a text for jeton run --packed-context",
  description:
    "Compresses a text with a compressor that was trained for the model (jeton train compressor), and writes its " +
    "embeddings into one file. Answers from it choose how many tokens an embedding stands for. The file knows the " +
    "model and the compressor; others are refused.",
  positionals: [{ name: "file|-", required: true }],
  options,
  examples: [
    {
      line: "jeton context pack --compressor runs/compressor/compressor.safetensors manual.txt -o manual.packed",
      shows:
        'the packed text; ask with jeton run --packed-context manual.packed "How is it cleaned?"',
    },
  ],
  async run(context, values, [source]) {
    const { compressor, out } = values;
    if (compressor === undefined || out === undefined) {
      const missing = [
        ...(compressor === undefined ? ["--compressor FILE"] : []),
        ...(out === undefined ? ["--out FILE"] : []),
      ];
      throw new UsageError("option-missing", `jeton context pack needs ${missing.join(" and ")}`, {
        option: missing[0]!.split(" ")[0],
      });
    }
    // The packed text would take the place of what it is made from.
    const read = [compressor, ...(source === "-" ? [] : [source!])];
    const replaced = read.find((path) => resolve(path) === resolve(out));
    if (replaced !== undefined) {
      throw new UsageError("option-conflict", `--out ${out} is a file that is read`, {
        option: "--out",
        found: out,
        expected: "a file of its own",
      });
    }
    const text = source === "-" ? await readStandardInput(context) : await readTextFile(source!);
    const began = performance.now();
    const line = createStatusLine(context);
    try {
      const onProgress = (done: number, total: number): void =>
        line.show(`compressing: ${done} of ${total} tokens`);
      const packed = await withCheckpoint(context, values.model, (found) =>
        pack(found, text, { ...values, compressor, signal: context.signal, onProgress }),
      );
      const { writePackedContext } = await import("../../../context/index.ts");
      await writePackedContext(out, packed, { dtype: values.dtype });
      line.clear();
      const embeddings = packed.outputs.length / packed.width;
      const tokens = packed.ids.length;
      const { size: bytes } = await stat(out);
      const seconds = (performance.now() - began) / 1000;
      if (values.json) {
        const document = { file: out, tokens, embeddings, factor: packed.factor, bytes, seconds };
        await writeJson<ContextPackDocument>(context.stdout, document);
        return;
      }
      await context.stdout.write(`${out}\n`);
      await context.stderr.write(
        `${formatCount(tokens)} tokens · ${formatCount(embeddings)} embeddings · ${formatBytes(bytes)} · ${formatDuration(seconds)}\n`,
      );
    } finally {
      line.clear();
    }
  },
});

interface PackOptions {
  readonly compressor: string;
  readonly factor: number;
  readonly threads: number | undefined;
  readonly acceptOtherModel: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: (done: number, total: number) => void;
}

/** Compresses a text. Of the model only the tokenizer and the embedding table are read. */
async function pack(
  { name, checkpoint }: NamedCheckpoint,
  text: string,
  { compressor, factor, threads, acceptOtherModel, ...run }: PackOptions,
): Promise<PackedContext> {
  const { decoderConfig } = await import("../../../model/decoder/config.ts");
  const { loadTokenizer } = await import("../../../tokenizer/index.ts");
  if (text.trim() === "") {
    throw new JetonError("there is no text to compress", {
      code: "packed-context-empty",
      details: { characters: text.length },
    });
  }
  const { folder } = checkpoint;
  const model = { name, folder, config: decoderConfig(checkpoint.config) };
  const tokenizer = await loadTokenizer(folder);
  // Text that spells a special token is text.
  const ids = tokenizer.encodeIds(text, { applyLimits: false, allowedSpecial: "none" });
  const { openCompressor } = await import("../../../context/index.ts");
  const open = await openCompressor(
    { ...model, threads: threads ?? Math.min(8, availableParallelism()) },
    compressor,
    { acceptOtherModel },
  );
  try {
    return await open.compress(ids, { factor, ...run });
  } finally {
    await open[Symbol.asyncDispose]();
  }
}
