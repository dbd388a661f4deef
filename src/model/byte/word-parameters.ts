/** The parameters of a model of words: names and shapes, as its checkpoints store them. */
import type { DecoderConfig } from "../decoder/config.ts";
import { decoderNames, matrixGroups } from "../decoder/decoder-names.ts";
import { decoderParameterShapes } from "../decoder/parameter-shapes.ts";
import type { DecoderWeights } from "../weights/trace-weights.ts";
import { byteVocabSize } from "./byte-vocabulary.ts";
import type { WordModelConfig } from "./word-config.ts";

/** The stacks of layers. */
export const wordStacks = ["encoder", "backbone", "decoder"] as const;

/** One of the stacks. */
export type WordStack = (typeof wordStacks)[number];

/** Names of the parameters outside the stacks. */
export const wordParameterNames = {
  /** Embeddings of bytes, `[256, local hidden size]`. */
  embedding: "embed_bytes.weight",
  /** Further vectors that stand before a word, `[prefixes - 1, local hidden size]`; the first is `<|word|>`'s. */
  prefixes: "word_prefixes.weight",
  /** From the local hidden size to the backbone's. */
  toBackbone: "encoder_projection.weight",
  /** From that of the backbone to the local one. */
  toLocal: "decoder_projection.weight",
  /** Logits of bytes, `[256, local hidden size]`. */
  head: "lm_head.weight",
} as const;

/** Where a decoder's names begin with `model`, those of a stack begin with its own name. */
function stackName(stack: WordStack, name: string): string {
  return name.replace(/^model\./, `${stack}.`);
}

/** The weights of one stack under the names that a decoder asks for. */
export function stackWeights(weights: DecoderWeights, stack: WordStack): DecoderWeights {
  return {
    vector: (name) => weights.vector(stackName(stack, name)),
    table: (name) => weights.table(stackName(stack, name)),
    linear: (x, names) =>
      weights.linear(
        x,
        names.map((name) => stackName(stack, name)),
      ),
  };
}

const outside: ReadonlySet<string> = new Set([decoderNames.embedding, decoderNames.head]);

function stackShapes(config: DecoderConfig): [string, number[]][] {
  return [...decoderParameterShapes(config)].filter(([name]) => !outside.has(name));
}

/** Shapes of all parameters by name. */
export function wordParameterShapes(config: WordModelConfig): Map<string, number[]> {
  const local = config.encoder.hiddenSize;
  const { embedding, prefixes, toBackbone, toLocal, head } = wordParameterNames;
  const shapes = new Map<string, number[]>([[embedding, [byteVocabSize, local]]]);
  if (config.prefixes > 1) shapes.set(prefixes, [config.prefixes - 1, local]);
  for (const stack of wordStacks) {
    for (const [name, shape] of stackShapes(config[stack])) {
      shapes.set(stackName(stack, name), shape);
    }
  }
  if (config.isProjected) {
    shapes.set(toBackbone, [config.backbone.hiddenSize, local]);
    shapes.set(toLocal, [local, config.backbone.hiddenSize]);
  }
  shapes.set(head, [byteVocabSize, local]);
  return shapes;
}

/** Every group of matrices that are multiplied together, in each stack and outside of them. */
export function wordMatrixGroups(config: WordModelConfig): (readonly string[])[] {
  const { toBackbone, toLocal, head } = wordParameterNames;
  const groups = wordStacks.flatMap((stack) =>
    matrixGroups(config[stack])
      .slice(0, -1)
      .map((names) => names.map((name) => stackName(stack, name))),
  );
  return [...groups, ...(config.isProjected ? [[toBackbone], [toLocal]] : []), [head]];
}
