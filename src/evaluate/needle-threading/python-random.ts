/**
 * Python's generator of random numbers: the Mersenne Twister MT19937, seeded as `random.seed(int)` seeds it, so that
 * haystacks equal those that the paper's generator prints (Matsumoto and Nishimura, 1998).
 */
import { JetonError } from "../../core/index.ts";

const stateSize = 624;
const shift = 397;

/** The part of Python's `random.Random` that haystacks need. */
export interface PythonRandom {
  /** `random.getrandbits(bits)`; `bits` from 1 to 1,024. */
  getRandomBits(bits: number): bigint;
}

/**
 * `random.Random(seed)`.
 *
 * @param seed an integer; Python takes its absolute value
 * @throws JetonError `needle-seed-invalid`
 */
export function createPythonRandom(seed: number): PythonRandom {
  if (!Number.isSafeInteger(seed)) {
    throw new JetonError(`the seed is ${String(seed)}, expected an integer`, {
      code: "needle-seed-invalid",
      details: { found: seed, expected: "an integer" },
    });
  }
  const state = seedByArray(wordsOf(BigInt(Math.abs(seed))));
  let at = stateSize;
  const nextWord = (): number => {
    if (at === stateSize) {
      twist(state);
      at = 0;
    }
    let y = state[at++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
  return {
    getRandomBits(bits) {
      // Words come least significant first; the last one gives its upper bits.
      let value = 0n;
      for (let done = 0; done < bits; done += 32) {
        const word = nextWord() >>> Math.max(0, 32 - (bits - done));
        value |= BigInt(word) << BigInt(done);
      }
      return value;
    },
  };
}

/** The 32-bit words of a number, least significant first; one zero for 0. */
function wordsOf(value: bigint): number[] {
  const words: number[] = [];
  do {
    words.push(Number(value & 0xffffffffn));
    value >>= 32n;
  } while (value > 0n);
  return words;
}

/** `init_by_array` of the reference implementation. */
function seedByArray(key: readonly number[]): Uint32Array {
  const state = new Uint32Array(stateSize);
  state[0] = 19650218;
  for (let i = 1; i < stateSize; i++) {
    const last = state[i - 1]!;
    state[i] = Math.imul(last ^ (last >>> 30), 1812433253) + i;
  }
  let [i, j] = [1, 0];
  const advance = (): void => {
    i++;
    if (i < stateSize) return;
    state[0] = state[stateSize - 1]!;
    i = 1;
  };
  for (let round = Math.max(stateSize, key.length); round > 0; round--) {
    const last = state[i - 1]!;
    state[i] = (state[i]! ^ Math.imul(last ^ (last >>> 30), 1664525)) + key[j]! + j;
    advance();
    j = (j + 1) % key.length;
  }
  for (let round = stateSize - 1; round > 0; round--) {
    const last = state[i - 1]!;
    state[i] = (state[i]! ^ Math.imul(last ^ (last >>> 30), 1566083941)) - i;
    advance();
  }
  state[0] = 0x80000000;
  return state;
}

function twist(state: Uint32Array): void {
  for (let i = 0; i < stateSize; i++) {
    const y = (state[i]! & 0x80000000) | (state[(i + 1) % stateSize]! & 0x7fffffff);
    const mask = (y & 1) === 0 ? 0 : 0x9908b0df;
    state[i] = state[(i + shift) % stateSize]! ^ (y >>> 1) ^ mask;
  }
}
