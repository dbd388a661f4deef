/** A prefill of a Llama checkpoint whose tokens are split among ranks: each computes its own rows, the ring attends. */
import { openCheckpoint } from "../../checkpoint/index.ts";
import { createMailbox } from "./mailbox.ts";
import { type RingLink, type RingShard, runRank } from "./ring-rank.ts";
import { planTokenRing, zigzagChunks } from "./schedule.ts";

/** A checkpoint in float64. */
export interface PrefillCheckpoint {
  readonly config: Readonly<Record<string, unknown>>;
  /** Parameters by checkpoint name. */
  readonly tensors: ReadonlyMap<string, { readonly data: Float64Array }>;
}

/** Reads all of a checkpoint. */
export async function readPrefillCheckpoint(folder: string): Promise<PrefillCheckpoint> {
  await using checkpoint = await openCheckpoint(folder);
  const tensors = new Map<string, { data: Float64Array }>();
  for (const name of checkpoint.tensors.keys()) {
    tensors.set(name, { data: Float64Array.from(await checkpoint.readFloat32(name)) });
  }
  return { config: checkpoint.config, tensors };
}

interface Sizes {
  readonly hidden: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly layers: number;
  readonly epsilon: number;
  readonly theta: number;
}

function sizesOf({ config }: PrefillCheckpoint): Sizes {
  const number = (key: string): number => config[key] as number;
  return {
    hidden: number("hidden_size"),
    heads: number("num_attention_heads"),
    kvHeads: number("num_key_value_heads"),
    headDim: number("head_dim"),
    layers: number("num_hidden_layers"),
    epsilon: number("rms_norm_eps"),
    theta: number("rope_theta"),
  };
}

/** Logits `[ids.length, vocabulary]` in float64; `2 ranks` divides the number of ids. One rank attends by itself. */
export async function prefillInRing(
  checkpoint: PrefillCheckpoint,
  ids: readonly number[],
  ranks: number,
): Promise<Float64Array> {
  const chunk = ids.length / (2 * ranks);
  const boxes = Array.from({ length: ranks }, (_, rank) => createMailbox({ rank, deadline: 60 }));
  const parts = await Promise.all(
    boxes.map(async (box, rank) => {
      const positions = zigzagChunks(rank, ranks).flatMap((at) =>
        Array.from({ length: chunk }, (_, i) => at * chunk + i),
      );
      const linkOf = (layer: number): RingLink => ({
        send: (peer, tag, arrays) =>
          boxes[peer]!.put(
            rank,
            `${tag} ${layer}`,
            arrays.map((array) => array.slice()),
          ),
        receive: (peer, tag) => box.take(peer, `${tag} ${layer}`),
      });
      return {
        positions,
        logits: await runShard(checkpoint, ids, { positions, rank, ranks, linkOf }),
      };
    }),
  );
  const vocabulary = parts[0]!.logits.length / parts[0]!.positions.length;
  const all = new Float64Array(ids.length * vocabulary);
  for (const { positions, logits } of parts) {
    for (const [i, position] of positions.entries()) {
      all.set(logits.subarray(i * vocabulary, (i + 1) * vocabulary), position * vocabulary);
    }
  }
  return all;
}

interface ShardOptions {
  readonly positions: readonly number[];
  readonly rank: number;
  readonly ranks: number;
  readonly linkOf: (layer: number) => RingLink;
}

async function runShard(
  checkpoint: PrefillCheckpoint,
  ids: readonly number[],
  { positions, rank, ranks, linkOf }: ShardOptions,
): Promise<Float64Array> {
  const sizes = sizesOf(checkpoint);
  const { hidden, heads, kvHeads, headDim, layers, theta } = sizes;
  const tensor = (name: string): Float64Array => checkpoint.tensors.get(name)!.data;
  const operations = planTokenRing({ ranks, causal: true }).operations[rank]!;
  const embeddings = tensor("model.embed_tokens.weight");
  const states = new Float64Array(positions.length * hidden);
  for (const [i, position] of positions.entries()) {
    const from = ids[position]! * hidden;
    states.set(embeddings.subarray(from, from + hidden), i * hidden);
  }
  for (let layer = 0; layer < layers; layer++) {
    const weight = (name: string): Float64Array => tensor(`model.layers.${layer}.${name}.weight`);
    const normed = normalize(states, weight("input_layernorm"), sizes);
    const shard: RingShard = {
      queries: rotateRows(
        multiply(normed, weight("self_attn.q_proj"), hidden),
        positions,
        heads,
        headDim,
        theta,
      ),
      keys: rotateRows(
        multiply(normed, weight("self_attn.k_proj"), hidden),
        positions,
        kvHeads,
        headDim,
        theta,
      ),
      values: multiply(normed, weight("self_attn.v_proj"), hidden),
    };
    const { output } = await runRank(operations, shard, sizes, linkOf(layer));
    addTo(states, multiply(output as Float64Array, weight("self_attn.o_proj"), heads * headDim));
    const again = normalize(states, weight("post_attention_layernorm"), sizes);
    const gate = multiply(again, weight("mlp.gate_proj"), hidden);
    const up = multiply(again, weight("mlp.up_proj"), hidden);
    const inner = gate.map((value, i) => (value / (1 + Math.exp(-value))) * up[i]!);
    addTo(states, multiply(inner, weight("mlp.down_proj"), inner.length / positions.length));
  }
  const last = normalize(states, tensor("model.norm.weight"), sizes);
  return multiply(last, tensor("lm_head.weight"), hidden);
}

function addTo(states: Float64Array, more: Float64Array): void {
  for (let i = 0; i < states.length; i++) states[i]! += more[i]!;
}

function normalize(
  states: Float64Array,
  weight: Float64Array,
  { hidden, epsilon }: Sizes,
): Float64Array {
  const result = new Float64Array(states.length);
  for (let from = 0; from < states.length; from += hidden) {
    let sum = 0;
    for (let d = 0; d < hidden; d++) sum += states[from + d]! ** 2;
    const scale = 1 / Math.sqrt(sum / hidden + epsilon);
    for (let d = 0; d < hidden; d++) result[from + d] = states[from + d]! * scale * weight[d]!;
  }
  return result;
}

/** Rows `[n, width]` times a stored matrix `[out, width]`. */
function multiply(rows: Float64Array, matrix: Float64Array, width: number): Float64Array {
  const [count, out] = [rows.length / width, matrix.length / width];
  const result = new Float64Array(count * out);
  for (let row = 0; row < count; row++) {
    for (let column = 0; column < out; column++) {
      let sum = 0;
      for (let d = 0; d < width; d++) sum += rows[row * width + d]! * matrix[column * width + d]!;
      result[row * out + column] = sum;
    }
  }
  return result;
}

/** RoPE on the halves of each head, by the position of the token in the whole sequence. */
function rotateRows(
  rows: Float64Array,
  positions: readonly number[],
  heads: number,
  headDim: number,
  theta: number,
): Float64Array {
  const half = headDim / 2;
  for (const [row, position] of positions.entries()) {
    for (let head = 0; head < heads; head++) {
      const from = (row * heads + head) * headDim;
      for (let d = 0; d < half; d++) {
        const angle = position * theta ** (-d / half);
        const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
        const [a, b] = [rows[from + d]!, rows[from + half + d]!];
        rows[from + d] = a * cos - b * sin;
        rows[from + half + d] = b * cos + a * sin;
      }
    }
  }
  return rows;
}
