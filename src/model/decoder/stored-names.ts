/**
 * Which tensors of a checkpoint are the decoder's, under any prefix of their names, and how they are read.
 *
 * A language model saved by itself has `model.layers.0…` and `lm_head.weight`. Within a model of several
 * modalities the same tensors are `language_model.model.layers.0…` or `model.language_model.layers.0…`,
 * and a model saved without its head leaves the `model.` out. GPT-2, GPT-Neo and GPT-NeoX have names of their own.
 */
import type { Checkpoint, TensorEntry } from "../../checkpoint/index.ts";
import { renameTensors } from "../weights/rename-tensors.ts";
import { isRepeated, type ReadStoredRows } from "../weights/repeated-tensor.ts";
import { type MatrixEncoding, type SplitEntry, splitExperts } from "../weights/split-experts.ts";
import type { StoredShape } from "../weights/trace-weights.ts";
import type { DecoderConfig } from "./config.ts";
import { decoderNames, layerMatrixGroups } from "./decoder-names.ts";

/**
 * The name under which each tensor of the decoder is stored, by the decoder's own name for it. Undefined
 * where the two are the same, or where it is not clear which table of embeddings is the decoder's.
 */
export function storedNames(stored: Iterable<string>): ReadonlyMap<string, string> | undefined {
  const names = [...stored];
  const endingIn = (end: string): string[] =>
    names.filter((name) => name === end || name.endsWith(`.${end}`));
  const naming = namings.find(({ table }) => endingIn(table).length > 0);
  if (!naming) return undefined;
  const [found, ...others] = endingIn(naming.table);
  if (others.length > 0 || found === decoderNames.embedding) return undefined;
  const prefix = found!.slice(0, -naming.table.length);
  const heads = naming.heads.flatMap(endingIn);
  const own = new Map<string, string>();
  for (const name of names) {
    if (heads.includes(name) || !name.startsWith(prefix)) continue;
    const named = naming.name(name.slice(prefix.length));
    if (named !== undefined) own.set(`model.${named}`, name);
  }
  if (heads.length === 1) own.set(decoderNames.head, heads[0]!);
  return own;
}

/** How checkpoints of some families name tensors. */
interface Naming {
  /** The table of embeddings, without the prefix that all tensors but the head have. */
  readonly table: string;
  readonly heads: readonly string[];
  /** The decoder's name behind `model.` for one behind the prefix; undefined: not the decoder's. */
  name(stored: string): string | undefined;
}

/** Parts of a layer, and of the whole model, by their names in GPT-2's files, which store masks besides. */
const gptParts: Readonly<Record<string, string>> = {
  wte: "embed_tokens",
  wpe: "embed_positions",
  ln_f: "norm",
  ln_1: "input_layernorm",
  ln_2: "post_attention_layernorm",
  "mlp.c_fc": "mlp.up_proj",
  "mlp.c_proj": "mlp.down_proj",
};
const gpt2Parts: Readonly<Record<string, string>> = {
  ...gptParts,
  "attn.c_attn": "self_attn.qkv_proj",
  "attn.c_proj": "self_attn.o_proj",
};

/** The same of GPT-Neo. */
const neoParts: Readonly<Record<string, string>> = {
  ...gptParts,
  "attn.attention.q_proj": "self_attn.q_proj",
  "attn.attention.k_proj": "self_attn.k_proj",
  "attn.attention.v_proj": "self_attn.v_proj",
  "attn.attention.out_proj": "self_attn.o_proj",
};

/** The same of GPT-NeoX. */
const neoxParts: Readonly<Record<string, string>> = {
  embed_in: "embed_tokens",
  final_layer_norm: "norm",
  input_layernorm: "input_layernorm",
  "attention.query_key_value": "self_attn.qkv_proj",
  "attention.dense": "self_attn.o_proj",
  post_attention_layernorm: "post_attention_layernorm",
  "mlp.dense_h_to_4h": "mlp.up_proj",
  "mlp.dense_4h_to_h": "mlp.down_proj",
};

/** Reads names of parts, behind the number of a layer. */
function nameParts(layers: string, parts: Readonly<Record<string, string>>): Naming["name"] {
  const pattern = new RegExp(`^(?:${layers}\\.(\\d+)\\.)?(.+)\\.(weight|bias)$`);
  return (stored) => {
    const [, layer, part = "", kind] = pattern.exec(stored) ?? [];
    const own = Object.hasOwn(parts, part) ? parts[part] : undefined;
    if (own === undefined) return undefined;
    return layer === undefined ? `${own}.${kind}` : `layers.${layer}.${own}.${kind}`;
  };
}

const namings: readonly Naming[] = [
  { table: "embed_tokens.weight", heads: [decoderNames.head], name: (stored) => stored },
  {
    table: "wte.weight",
    heads: [decoderNames.head],
    name: nameParts("h", { ...gpt2Parts, ...neoParts }),
  },
  {
    table: "embed_in.weight",
    heads: ["embed_out.weight", decoderNames.head],
    name: nameParts("layers", neoxParts),
  },
];

/**
 * The configuration with a head of its own where one is stored that differs from the embeddings, though they are said to
 * be tied. One with the same numbers is not held twice.
 *
 * @param tensors by the decoder's own names
 */
export async function withStoredHead(
  config: DecoderConfig,
  tensors: ReadonlyMap<string, StoredShape>,
  read: ReadStoredRows,
): Promise<DecoderConfig> {
  const { head, embedding } = decoderNames;
  const isStored = tensors.has(head) && tensors.has(embedding);
  if (!config.tieWordEmbeddings || !isStored) return config;
  const repeats = await isRepeated(tensors, { name: head, of: embedding }, read);
  return repeats ? config : { ...config, tieWordEmbeddings: false };
}

/** A checkpoint whose stacked experts are parts of their own. */
export interface SplitCheckpoint extends Checkpoint {
  readonly tensors: ReadonlyMap<string, SplitEntry>;
}

/**
 * A checkpoint's tensors by the decoder's names for them; those of other parts are left out, and stacked
 * experts are split, transposed matrices marked (only `tensors` knows their parts: the reading functions read stored tensors).
 */
export function nameTensors(checkpoint: Checkpoint, config: DecoderConfig): SplitCheckpoint {
  const own = storedNames(checkpoint.tensors.keys());
  const named = own ? renameTensors(checkpoint, own) : checkpoint;
  return { ...named, tensors: readableEntries(named.tensors, config) };
}

/**
 * The checkpoint by the decoder's names where the family's files have names of their own; otherwise as it is, with the
 * experts as they are stored.
 */
export function withOwnNames(checkpoint: Checkpoint, config: DecoderConfig): Checkpoint {
  return publishers[config.family] ? nameTensors(checkpoint, config) : checkpoint;
}

/** The name under which a family's published files have a parameter. */
export function publishedName({ family }: Pick<DecoderConfig, "family">, name: string): string {
  const publisher = publishers[family];
  if (!publisher) return name;
  if (name === decoderNames.head) return publisher.head;
  const [, layer = "", part, kind] = /^model\.(layers\.\d+\.)?(.+)\.(weight|bias)$/.exec(name)!;
  const [stored = part] = Object.entries(publisher.parts).find(([, own]) => own === part) ?? [];
  return `${publisher.prefix}${layer.replace("layers.", publisher.layers)}${stored}.${kind}`;
}

/** How families with names of their own spell them. */
const publishers: Readonly<
  Record<
    string,
    {
      readonly prefix: string;
      /** What stands before the number of a layer. */
      readonly layers: string;
      readonly head: string;
      readonly parts: Readonly<Record<string, string>>;
    }
  >
> = {
  gpt2: { prefix: "transformer.", layers: "h.", head: decoderNames.head, parts: gpt2Parts },
  gpt_neo: { prefix: "transformer.", layers: "h.", head: decoderNames.head, parts: neoParts },
  gpt_neox: { prefix: "gpt_neox.", layers: "layers.", head: "embed_out.weight", parts: neoxParts },
};

/** Tensors with stacked experts split and with matrices that are stored transposed marked so. */
export function readableEntries(
  tensors: ReadonlyMap<string, TensorEntry>,
  config: DecoderConfig,
): ReadonlyMap<string, SplitEntry> {
  const split = splitExperts(tensors, config);
  if (!config.storesTransposed) return split;
  const turned = new Map(split);
  const encoding: MatrixEncoding = { kind: "transposed" };
  // The head is stored as others are.
  for (const name of layerMatrixGroups(config).flat()) {
    const entry = split.get(name);
    if (entry) turned.set(name, { ...entry, shape: entry.shape.toReversed(), encoding });
  }
  return turned;
}
