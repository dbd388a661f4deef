/**
 * Frequencies of rotary position embeddings and their scalings: linear and dynamic (NTK) as in
 * transformers, llama3 (Llama 3.1), YaRN (Peng et al., 2023), longrope (Ding et al., 2024).
 */
import { JetonError } from "../../core/index.ts";
import type { RopeConfig } from "../decoder/config.ts";

export interface RopeFrequencies {
  /** Radians per position of each pair, `[rotaryDim / 2]`. */
  readonly frequencies: Float64Array;
  /** Factor of cosine and sine (so scores get its square). */
  readonly factor: number;
}

/**
 * The frequencies for a sequence of a given final length. Only `dynamic` and `longrope` depend on it:
 * their choice is fixed for the whole sequence, so that cached keys stay valid.
 */
export function ropeFrequencies(rope: RopeConfig, sequenceLength: number): RopeFrequencies {
  const {
    theta,
    rotaryDim: width,
    maxPositionEmbeddings,
    originalMaxPositionEmbeddings,
    scaling,
  } = rope;
  const option = (name: string): number | undefined => {
    const value = scaling[name];
    return typeof value === "number" && value !== 0 ? value : undefined;
  };
  const need = (name: string): number => {
    const value = option(name);
    if (value !== undefined) return value;
    throw new JetonError(
      `config.json: rope scaling "${rope.kind}" needs a number "${name}", got ${JSON.stringify(scaling[name])}`,
      { code: "model-config-invalid", details: { name, value: scaling[name] } },
    );
  };
  const powers = (theta: number): Float64Array =>
    Float64Array.from({ length: width / 2 }, (_, pair) => theta ** ((-2 * pair) / width));

  switch (rope.kind) {
    case "default":
      return { frequencies: powers(theta), factor: 1 };
    case "linear": {
      const factor = need("factor");
      return { frequencies: powers(theta).map((frequency) => frequency / factor), factor: 1 };
    }
    case "dynamic": {
      const length = Math.max(sequenceLength, maxPositionEmbeddings);
      const factor = need("factor");
      const stretch = (factor * length) / maxPositionEmbeddings - (factor - 1);
      return { frequencies: powers(theta * stretch ** (width / (width - 2))), factor: 1 };
    }
    case "llama3": {
      const factor = need("factor");
      const low = need("low_freq_factor");
      const high = need("high_freq_factor");
      const frequencies = powers(theta).map((frequency) => {
        const turns = (originalMaxPositionEmbeddings * frequency) / (2 * Math.PI);
        // 0: interpolate fully, 1: keep.
        const keep = Math.min(1, Math.max(0, (turns - low) / (high - low)));
        return frequency * (keep + (1 - keep) / factor);
      });
      return { frequencies, factor: 1 };
    }
    case "yarn": {
      const factor = option("factor") ?? maxPositionEmbeddings / originalMaxPositionEmbeddings;
      const magnitude = (weight: number): number =>
        factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;
      const mscale = option("mscale");
      const mscaleAll = option("mscale_all_dim");
      const attention =
        option("attention_factor") ??
        (mscale && mscaleAll ? magnitude(mscale) / magnitude(mscaleAll) : magnitude(1));
      // The pair that makes so many turns over the original context.
      const pairOf = (turns: number): number =>
        (width * Math.log(originalMaxPositionEmbeddings / (turns * 2 * Math.PI))) /
        (2 * Math.log(theta));
      let low = pairOf(option("beta_fast") ?? 32);
      let high = pairOf(option("beta_slow") ?? 1);
      if (scaling["truncate"] !== false) {
        low = Math.floor(low);
        high = Math.ceil(high);
      }
      low = Math.max(low, 0);
      high = Math.min(high, width - 1);
      if (low === high) high += 0.001;
      const frequencies = powers(theta).map((frequency, pair) => {
        const stretch = Math.min(1, Math.max(0, (pair - low) / (high - low)));
        return frequency * (1 - stretch + stretch / factor);
      });
      return { frequencies, factor: attention };
    }
    case "longrope": {
      const name = sequenceLength > originalMaxPositionEmbeddings ? "long_factor" : "short_factor";
      const factors = scaling[name];
      if (!Array.isArray(factors) || factors.length !== width / 2) {
        throw new JetonError(`config.json: ${name} must list ${width / 2} numbers`, {
          code: "model-config-invalid",
          details: { name, value: factors },
        });
      }
      const ratio = option("factor") ?? maxPositionEmbeddings / originalMaxPositionEmbeddings;
      const attention =
        option("attention_factor") ??
        (ratio <= 1 ? 1 : Math.sqrt(1 + Math.log(ratio) / Math.log(originalMaxPositionEmbeddings)));
      return {
        frequencies: powers(theta).map((frequency, pair) => frequency / Number(factors[pair])),
        factor: attention,
      };
    }
  }
}

/** True where the frequencies depend on the length that a sequence is going to have. */
export function dependsOnLength(rope: RopeConfig): boolean {
  return rope.kind === "dynamic" || rope.kind === "longrope";
}

/** Cosines and sines by position, computed as positions come up. */
export class RopeTable {
  readonly half: number;
  readonly #frequencies: Float64Array;
  readonly #factor: number;
  #rows = 0;
  #cos: Float32Array = new Float32Array(0);
  #sin: Float32Array = new Float32Array(0);

  constructor(rope: RopeConfig, sequenceLength: number) {
    const { frequencies, factor } = ropeFrequencies(rope, sequenceLength);
    this.#frequencies = frequencies;
    this.#factor = factor;
    this.half = frequencies.length;
  }

  /** Writes the row of a position into both arrays at `row`. */
  write(position: number, row: number, cos: Float32Array, sin: Float32Array): void {
    if (position >= this.#rows) this.#grow(position + 1);
    const { half } = this;
    cos.set(this.#cos.subarray(position * half, (position + 1) * half), row * half);
    sin.set(this.#sin.subarray(position * half, (position + 1) * half), row * half);
  }

  #grow(needed: number): void {
    const { half } = this;
    const rows = Math.max(needed, 2 * this.#rows, 256);
    const cos = new Float32Array(rows * half);
    const sin = new Float32Array(rows * half);
    cos.set(this.#cos);
    sin.set(this.#sin);
    for (let position = this.#rows; position < rows; position++) {
      for (let pair = 0; pair < half; pair++) {
        const angle = position * this.#frequencies[pair]!;
        cos[position * half + pair] = Math.cos(angle) * this.#factor;
        sin[position * half + pair] = Math.sin(angle) * this.#factor;
      }
    }
    this.#rows = rows;
    this.#cos = cos;
    this.#sin = sin;
  }
}

/** The tables of a decoder's rotations, by sequence length where they depend on it. */
export class RopeTables {
  readonly #ropes: readonly RopeConfig[];
  readonly #tables: Map<string, RopeTable> = new Map();

  constructor(ropes: readonly RopeConfig[]) {
    this.#ropes = ropes;
  }

  /** Whether sequences of these lengths are rotated alike. */
  areEqual(a: number, b: number): boolean {
    return this.#ropes.every((rope) => lengthKey(rope, a) === lengthKey(rope, b));
  }

  /** The table of rotation `index` for a sequence of this length. */
  table(index: number, sequenceLength: number): RopeTable {
    const rope = this.#ropes[index]!;
    const length = lengthKey(rope, sequenceLength);
    const key = `${index} ${length}`;
    let table = this.#tables.get(key);
    if (!table) {
      table = new RopeTable(rope, length);
      // Every length of a dynamic rotation has its own table: keep a few.
      if (this.#tables.size >= 16 + this.#ropes.length) {
        this.#tables.delete(this.#tables.keys().next().value!);
      }
      this.#tables.set(key, table);
    }
    return table;
  }
}

/** Lengths with one key have equal frequencies. */
function lengthKey(rope: RopeConfig, length: number): number {
  if (!dependsOnLength(rope)) return 0;
  if (rope.kind === "dynamic") return Math.max(length, rope.maxPositionEmbeddings);
  return length > rope.originalMaxPositionEmbeddings
    ? rope.originalMaxPositionEmbeddings + 1
    : rope.originalMaxPositionEmbeddings;
}
