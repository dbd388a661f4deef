/**
 * Seeded random numbers, keyed rather than sequential.
 *
 * A generator is made from a seed and any number of integer or string keys, so that a draw for
 * (seed, sequence, position) does not depend on earlier samples. The generator is
 * xoshiro128** (Blackman and Vigna, 2018) seeded through a 32-bit mixing hash; it is not for
 * cryptography.
 */

/** A stream of pseudo-random numbers. */
export interface Random {
  /** Uniform 32-bit unsigned integer. */
  uint32(): number;
  /** Uniform in [0, 1), with 53 random bits. */
  uniform(): number;
  /** Uniform integer in [0, bound); `bound` is a positive integer up to 2^32. Unbiased. */
  integer(bound: number): number;
  /** Standard normal (Box-Muller). */
  normal(): number;
  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  shuffle<T>(items: T[]): T[];
  /** An independent stream, keyed by this stream's origin and `keys`; does not advance this one. */
  fork(...keys: (number | string)[]): Random;
  /** The state, for checkpoints of a run; give it to `restore` of a stream with any keys. */
  save(): readonly [number, number, number, number];
  restore(state: readonly number[]): void;
}

/** One round of the 32-bit finalizer of MurmurHash3: every input bit reaches every output bit. */
function mix(h: number): number {
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const scratch: DataView = new DataView(new ArrayBuffer(8));

/** Folds a key into four lanes; numbers by their 64 bits, strings by their UTF-16 units. */
function absorb(lanes: Uint32Array, key: number | string): void {
  const words: number[] = [];
  if (typeof key === "number") {
    scratch.setFloat64(0, key);
    words.push(1, scratch.getUint32(0), scratch.getUint32(4));
  } else {
    words.push(2, key.length);
    for (let i = 0; i < key.length; i++) words.push(key.charCodeAt(i));
  }
  for (const word of words) {
    for (let lane = 0; lane < 4; lane++) {
      lanes[lane] = mix(Math.imul(lanes[lane]! ^ word, 0x9e3779b1) + 0x7f4a7c15 * (lane + 1));
    }
  }
}

/** Makes a stream keyed by `seed` and `keys`: equal arguments give equal streams. */
export function createRandom(seed: number | string, ...keys: (number | string)[]): Random {
  const origin = Uint32Array.of(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344);
  absorb(origin, seed);
  for (const key of keys) absorb(origin, key);
  return fromOrigin(origin);
}

function fromOrigin(origin: Uint32Array): Random {
  const state = Uint32Array.from(origin);
  if (state.every((word) => word === 0)) state[0] = 1;

  const uint32 = (): number => {
    const s1 = state[1]!;
    let r = Math.imul(s1, 5);
    r = Math.imul((r << 7) | (r >>> 25), 9);
    const t = s1 << 9;
    state[2]! ^= state[0]!;
    state[3]! ^= state[1]!;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= t;
    const s3 = state[3]!;
    state[3] = (s3 << 11) | (s3 >>> 21);
    return r >>> 0;
  };
  const uniform = (): number => {
    const high = uint32() >>> 5;
    const low = uint32() >>> 6;
    return (high * 67108864 + low) / 9007199254740992;
  };
  const integer = (bound: number): number => {
    const limit = 4294967296 - (4294967296 % bound);
    let draw = uint32();
    while (draw >= limit) draw = uint32();
    return draw % bound;
  };
  const random: Random = {
    uint32,
    uniform,
    integer,
    normal() {
      // 1 - u keeps the logarithm finite.
      const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
      return radius * Math.cos(2 * Math.PI * uniform());
    },
    shuffle(items) {
      for (let i = items.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        const held = items[i]!;
        items[i] = items[j]!;
        items[j] = held;
      }
      return items;
    },
    fork(...keys) {
      const lanes = Uint32Array.from(origin);
      absorb(lanes, "fork");
      for (const key of keys) absorb(lanes, key);
      return fromOrigin(lanes);
    },
    save() {
      return [state[0]!, state[1]!, state[2]!, state[3]!];
    },
    restore(saved) {
      state.set(saved);
    },
  };
  return random;
}
