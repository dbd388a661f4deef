/**
 * The weights of single experts where a checkpoint stores those of all experts of a layer as one tensor:
 * rows one after the other (Granite, and every family as transformers 5 has it in memory), transposed, or in 4-bit
 * blocks (gpt-oss).
 */
import type { TensorEntry } from "../../checkpoint/safetensors/safetensors-header.ts";
import { JetonError } from "../../core/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";
import {
  type ExpertStack,
  expertPart,
  expertStacks,
  otherPlaces,
} from "../decoder/expert-names.ts";
import { sparseLayerShapes } from "../decoder/parameter-shapes.ts";

/** Bytes of a file. */
export interface FilePlace {
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** How the bytes of a matrix `[out, in]` are to be read where they are not its rows. */
export type MatrixEncoding =
  /** Stored as `[in, out]`. */
  | { readonly kind: "transposed" }
  /** MXFP4: two codes a byte, the first in the low bits, and a power of two for 32 of them. */
  | { readonly kind: "mxfp4"; readonly scales: FilePlace };

/** A stored tensor, or a part of one. */
export interface SplitEntry extends TensorEntry {
  /** Absent: the bytes are the elements in row-major order. */
  readonly encoding?: MatrixEncoding;
}

/** Codes of a block of MXFP4, which share a scale. */
export const mxfp4Block = 32;

/** The tensors of a checkpoint with stacked experts replaced by their parts, by the decoder's names. */
export function splitExperts(
  tensors: ReadonlyMap<string, TensorEntry>,
  config: DecoderConfig,
): ReadonlyMap<string, SplitEntry> {
  const split = new Map<string, SplitEntry>(tensors);
  const used = new Set<string>();
  for (const [layer, { sparse }] of config.layers.entries()) {
    if (!sparse) continue;
    const stacks = expertStacks(config, layer);
    const parts = [...sparseLayerShapes(config, layer)];
    const whole = stacks.map(({ name }) => [name, undefined] as const);
    const { count } = config.experts!;
    for (const [name, shape] of [...parts, ...whole]) {
      findElsewhere(split, { name, shape, count, used });
    }
    for (const stack of stacks) {
      splitTensor(split, stack, config.experts!.count);
    }
  }
  for (const name of used) split.delete(name);
  return split;
}

/** Gives a parameter that is stored elsewhere its family's own name. */
function findElsewhere(
  split: Map<string, SplitEntry>,
  {
    name,
    shape,
    count,
    used,
  }: {
    readonly name: string;
    readonly shape: readonly number[] | undefined;
    /** Experts of a layer. */
    readonly count: number;
    /** Names of the tensors that are taken apart or renamed. */
    readonly used: Set<string>;
  },
): void {
  if (split.has(name)) return;
  const place = otherPlaces(name).find((other) => split.has(other.name));
  if (place === undefined) return;
  const stored = split.get(place.name)!;
  used.add(place.name);
  if (place.part === undefined) {
    split.set(name, { ...stored, name });
    return;
  }
  const { expert, index, parts } = place.part;
  const [rows = 0, columns = 0] = shape ?? [];
  checkFused(stored, [count, parts * rows, columns], parts);
  const own = partOf(stored, parts * expert + index, parts * count);
  split.set(name, { ...own, name, dtype: stored.dtype, shape: [rows, columns] });
}

/**
 * Checks the shape of a tensor of all experts.
 *
 * @param expected `[experts, parts · rows, columns]`
 * @throws JetonError `model-weights-shape`, also for the transposed matrices that other families have
 */
export function checkFused(
  { name, shape: found }: Pick<TensorEntry, "name" | "shape">,
  expected: readonly [number, number, number],
  parts: number,
): void {
  if (found.join() === expected.join()) return;
  const order = parts === 2 ? ": of each expert the rows of the gate, then those of up" : "";
  throw new JetonError(`"${name}" has the shape [${found}], expected [${expected}]${order}`, {
    code: "model-weights-shape",
    details: { name, shape: found, expected },
  });
}

function splitTensor(
  split: Map<string, SplitEntry>,
  { name, isTransposed }: ExpertStack,
  count: number,
): void {
  const blocks = split.get(`${name}_blocks`);
  const scales = split.get(`${name}_scales`);
  const stored = split.get(name) ?? blocks;
  // What is missing is reported by name when weights are checked.
  if (!stored || (stored === blocks && !scales)) return;
  if (stored.shape[0] !== count || (blocks === stored && !hasBlocks(stored, scales!))) {
    throw new JetonError(
      `"${stored.name}" has the shape [${stored.shape}], expected the weights of ${count} experts`,
      { code: "model-weights-shape", details: { name: stored.name, shape: stored.shape, count } },
    );
  }
  for (let expert = 0; expert < count; expert++) {
    const place = partOf(stored, expert, count);
    const own = { ...place, name: expertPart(name, expert), dtype: stored.dtype };
    const [, first = 1, second = 1] = stored.shape;
    split.set(
      own.name,
      stored === blocks
        ? {
            ...own,
            dtype: "BF16",
            shape: [first, second * mxfp4Block],
            encoding: { kind: "mxfp4", scales: partOf(scales!, expert, count) },
          }
        : isTransposed
          ? { ...own, shape: [second, first], encoding: { kind: "transposed" } }
          : { ...own, shape: stored.shape.slice(1) },
    );
  }
  split.delete(stored.name);
  if (stored === blocks) split.delete(scales!.name);
}

/** Whether these are blocks uint8 `[experts, rows, blocks, 16]` and scales uint8 `[experts, rows, blocks]`. */
export function hasBlocks(blocks: TensorEntry, scales: TensorEntry): boolean {
  return (
    blocks.dtype === "U8" &&
    scales.dtype === "U8" &&
    blocks.shape.length === 4 &&
    blocks.shape[3] === mxfp4Block / 2 &&
    blocks.shape.slice(0, 3).join() === scales.shape.join()
  );
}

function partOf({ file, offset, length }: TensorEntry, index: number, count: number): FilePlace {
  return { file, offset: offset + (index * length) / count, length: length / count };
}

/**
 * The elements of an encoded matrix `[out, in]` in row-major order, as the bytes of its `dtype`.
 *
 * @param read the bytes of a place
 */
export function decodeMatrix(
  { shape, encoding, ...place }: Pick<SplitEntry, "shape" | "encoding" | keyof FilePlace>,
  read: (place: FilePlace) => Uint8Array,
): Uint8Array {
  const stored = read(place);
  if (!encoding) return stored;
  const [rows, columns] = shape as [number, number];
  if (encoding.kind === "mxfp4") return decodeMxfp4(stored, read(encoding.scales));
  const bytes = stored.length / (rows * columns);
  const decoded = new Uint8Array(stored.length);
  const [from, to] =
    bytes === 4
      ? [new Uint32Array(aligned(stored).buffer), new Uint32Array(decoded.buffer)]
      : [new Uint16Array(aligned(stored).buffer), new Uint16Array(decoded.buffer)];
  for (let column = 0; column < columns; column++) {
    for (let row = 0; row < rows; row++) to[row * columns + column] = from[column * rows + row]!;
  }
  return decoded;
}

/** The same bytes at the start of a buffer of their own. */
function aligned(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset === 0 && bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice();
}

/** Values of the 16 codes: sign, two bits of exponent, one of fraction (E2M1). */
const codeValues: readonly number[] = [0, 0.5, 1, 1.5, 2, 3, 4, 6].flatMap((value, _, all) =>
  value === 0 ? [...all, ...all.map((x) => -x)] : [],
);

/**
 * Values of MXFP4 as bytes of BF16, row by row. Each is a bfloat16, except below 2^-126: those become zero or
 * lose bits.
 */
export function decodeMxfp4(codes: Uint8Array, scales: Uint8Array): Uint8Array {
  const decoded = new Uint16Array(2 * codes.length);
  const word = new Float32Array(1);
  const bits = new Uint32Array(word.buffer);
  for (const [block, scale] of scales.entries()) {
    const factor = 2 ** (scale - 127);
    for (let byte = 0; byte < mxfp4Block / 2; byte++) {
      const code = codes[(block * mxfp4Block) / 2 + byte]!;
      for (const [half, value] of [code & 15, code >> 4].entries()) {
        word[0] = codeValues[value]! * factor;
        decoded[block * mxfp4Block + 2 * byte + half] = bits[0]! >>> 16;
      }
    }
  }
  return new Uint8Array(decoded.buffer);
}
