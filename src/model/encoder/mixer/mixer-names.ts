/** Names and shapes of the weights of a Monarch Mixer's layers, as the authors' checkpoints store them. */
import type { TensorEntry } from "../../../checkpoint/index.ts";
import type { EncoderConfig } from "../config.ts";
import type { MixerConfig } from "./mixer-config.ts";

/** Names of the weights of one layer, without `.weight` and `.bias`. */
export interface MixerLayerNames {
  readonly inputNorm: string;
  readonly input: string;
  readonly shortFilter: string;
  /** Of the gated values, and of the layer's input. */
  readonly filters: readonly string[];
  readonly output: string;
  readonly up: string;
  readonly down: string;
  readonly outputNorm: string;
}

/** Names of a layer's weights. */
export function mixerLayerNames(mixer: MixerConfig, index: number): MixerLayerNames {
  const layer = `encoder.layer.${index}`;
  const filters = mixer.residualConvolution ? ["filter_fn", "filter_fn2"] : ["filter_fn"];
  return {
    inputNorm: `${layer}.attention.layernorm`,
    input: `${layer}.attention.in_linear`,
    shortFilter: `${layer}.attention.short_filter`,
    filters: filters.map((name) => `${layer}.attention.${name}`),
    output: `${layer}.attention.out_linear`,
    up: `${layer}.mlp.gated_layers`,
    down: `${layer}.mlp.wo`,
    outputNorm: `${layer}.mlp.layernorm`,
  };
}

/** The networks of a filter: of its kernel, and of the one in the other direction. */
export function kernelNames({ bidirectional }: MixerConfig, filter: string): string[] {
  const names = bidirectional ? ["implicit_filter", "implicit_filter_rev"] : ["implicit_filter"];
  return names.map((name) => `${filter}.${name}`);
}

/** The dense modules of a kernel's network; the last has no bias, the others sines behind them. */
export const kernelModules = [0, 2, 4, 6] as const;

/** The one tensor of frequencies of a filter, under the name that safetensors keeps of its six. */
export const frequencyName = (filter: string): string => `${filter}.implicit_filter.1.freq`;

/** All names under which a checkpoint may hold a filter's frequencies. */
export function frequencyAliases(filter: string): string[] {
  return ["implicit_filter", "implicit_filter_rev"].flatMap((network) =>
    [1, 3, 5].map((module) => `${filter}.${network}.${module}.freq`),
  );
}

/** Names of tensors that are computed once and never learned. */
export const fixedMixerParameters: readonly string[] = ["*.pos_emb.t", "*.modulation.deltas"];

/** Adds the shapes of a layer's parameters. */
export function addMixerLayerShapes(
  config: EncoderConfig,
  index: number,
  shapes: Map<string, number[]>,
): void {
  const { hiddenSize: width, intermediateSize, gated } = config;
  const mixer = config.mixer!;
  const names = mixerLayerNames(mixer, index);
  const biased = (name: string, weight: number[], bias: number): void => {
    shapes.set(`${name}.weight`, weight);
    shapes.set(`${name}.bias`, [bias]);
  };
  if (mixer.inputNorm) biased(names.inputNorm, [width], width);
  biased(names.input, [3 * width, width], 3 * width);
  biased(names.shortFilter, [3 * width, 1, 3], 3 * width);
  for (const filter of names.filters) addFilterShapes(mixer, filter, width, shapes);
  biased(names.output, [width, width], width);
  const matrix = (outputs: number, inputs: number): number[] => {
    const { blocks } = mixer;
    if (blocks === undefined) return [outputs, inputs];
    return [blocks, Math.ceil(outputs / blocks), Math.ceil(inputs / blocks)];
  };
  shapes.set(`${names.up}.weight`, matrix((gated ? 2 : 1) * intermediateSize, width));
  biased(names.down, matrix(width, intermediateSize), width);
  biased(names.outputNorm, [width], width);
}

function addFilterShapes(
  mixer: MixerConfig,
  filter: string,
  width: number,
  shapes: Map<string, number[]>,
): void {
  const { kernelLength, filterWidth, positionFeatures } = mixer;
  shapes.set(`${filter}.bias`, [width]);
  shapes.set(`${filter}.pos_emb.z`, [1, kernelLength, positionFeatures]);
  shapes.set(`${filter}.pos_emb.t`, [1, kernelLength, 1]);
  shapes.set(frequencyName(filter), [1, filterWidth]);
  shapes.set(`${filter}.modulation.deltas`, [1, 1, width]);
  for (const network of kernelNames(mixer, filter)) {
    for (const module of kernelModules) {
      const [inputs, outputs] = [
        module === 0 ? positionFeatures : filterWidth,
        module === 6 ? width : filterWidth,
      ];
      shapes.set(`${network}.${module}.weight`, [outputs, inputs]);
      if (module !== 6) shapes.set(`${network}.${module}.bias`, [outputs]);
    }
  }
}

/** Stored names of the matrices of a layer as they are multiplied; blocks one by one. */
export function mixerMatrixGroups(config: EncoderConfig, index: number): string[][] {
  const mixer = config.mixer!;
  const { input, output, up, down } = mixerLayerNames(mixer, index);
  const groups = [[`${input}.weight`], [`${output}.weight`]];
  for (const name of [up, down]) {
    const { blocks } = mixer;
    if (blocks === undefined) groups.push([`${name}.weight`]);
    else for (let at = 0; at < blocks; at++) groups.push([blockName(`${name}.weight`, at)]);
  }
  return groups;
}

/** A diagonal block as a matrix of its own. */
export const blockName = (name: string, block: number): string => `${name}.${block}`;

/** Tensors with the blocks of block-diagonal matrices beside them: places in the same files. */
export function addBlocks<Entry extends TensorEntry>(
  config: EncoderConfig,
  tensors: ReadonlyMap<string, Entry>,
): ReadonlyMap<string, Entry> {
  const all = new Map(tensors);
  for (const { of, name, at, count } of mixerBlocks(config)) {
    const stored = tensors.get(of);
    if (stored === undefined) continue;
    const length = stored.length / count;
    const place = { offset: stored.offset + at * length, length };
    all.set(name, { ...stored, ...place, name, shape: stored.shape.slice(1) });
  }
  return all;
}

/** The bytes of a folder's tensors with those of the blocks, as views. */
export function addBlockBytes(
  config: EncoderConfig,
  bytes: ReadonlyMap<string, Uint8Array>,
): Map<string, Uint8Array> {
  const all = new Map(bytes);
  for (const { of, name, at, count } of mixerBlocks(config)) {
    const stored = bytes.get(of);
    if (stored === undefined) continue;
    const length = stored.length / count;
    all.set(name, stored.subarray(at * length, (at + 1) * length));
  }
  return all;
}

/** The blocks of all stored block-diagonal matrices: the matrix, the block's own name, its place. */
function mixerBlocks({
  mixer,
  layers,
}: EncoderConfig): { of: string; name: string; at: number; count: number }[] {
  const count = mixer?.blocks;
  if (mixer === undefined || count === undefined) return [];
  return [...layers.keys()].flatMap((index) => {
    const { up, down } = mixerLayerNames(mixer, index);
    return [`${up}.weight`, `${down}.weight`].flatMap((of) =>
      Array.from({ length: count }, (_, at) => ({ of, name: blockName(of, at), at, count })),
    );
  });
}
