/** Haystacks: ordered pairs of random codes, printed as one JSON object on one line. */
import { JetonError } from "../../core/index.ts";
import { createPythonRandom } from "./python-random.ts";

/** A key with its value. */
export interface Pair {
  readonly key: string;
  readonly value: string;
}

/** Characters of a UUID as it is printed. */
export const uuidLength = 36;

/** Options of `samplePairs`. */
export interface SamplePairsOptions {
  /** Number of pairs. */
  readonly pairs: number;
  /** `random.seed` of Python. */
  readonly seed: number;
  /**
   * Characters of a key or a value: 36, a UUID as published (default), or 2 to 32 hexadecimal digits with at least one
   * decimal digit, for models with a short context. A result with short codes is not comparable with the paper's.
   */
  readonly codeLength?: number;
}

/**
 * Draws pairs of distinct codes, key then value in turn, as the paper's generator does: seed 0 begins with the
 * key `e3e70682-c209-4cac-629f-6fbed82c07cd`.
 *
 * @throws JetonError `needle-option-invalid`, `needle-seed-invalid`
 */
export function samplePairs({ pairs, seed, codeLength = uuidLength }: SamplePairsOptions): Pair[] {
  checkOptions(pairs, codeLength);
  const random = createPythonRandom(seed);
  const taken = new Set<string>();
  const draw = (): string => {
    for (;;) {
      const code = formatCode(random.getRandomBits(128), codeLength);
      // Words made of the letters a to f ("added") must not count as codes in an answer.
      if (taken.has(code) || (codeLength < uuidLength && !/\d/.test(code))) continue;
      taken.add(code);
      return code;
    }
  };
  return Array.from({ length: pairs }, () => ({ key: draw(), value: draw() }));
}

/** The error of an option that cannot be. */
export function needleOptionError(name: string, found: unknown, expected: string): JetonError {
  const shown = typeof found === "string" ? JSON.stringify(found) : String(found);
  return new JetonError(`${name} is ${shown}, expected ${expected}`, {
    code: "needle-option-invalid",
    details: { name, found, expected },
  });
}

function checkOptions(pairs: number, codeLength: number): void {
  if (!Number.isSafeInteger(pairs) || pairs < 1 || pairs > 1_000_000) {
    throw needleOptionError("pairs", pairs, "an integer from 1 to 1,000,000");
  }
  const isShort = Number.isInteger(codeLength) && codeLength >= 2 && codeLength <= 32;
  if (codeLength !== uuidLength && !isShort) {
    throw needleOptionError("codeLength", codeLength, "36 (UUIDs), or an integer from 2 to 32");
  }
  // Half of all codes: drawing anew until one is free stays quick.
  if (isShort && pairs * 4 > 16 ** codeLength) {
    throw needleOptionError(
      "codeLength",
      codeLength,
      `more digits for ${pairs} pairs of distinct codes`,
    );
  }
}

/** `str(uuid.UUID(int=bits))`, or its first hexadecimal digits. */
function formatCode(bits: bigint, codeLength: number): string {
  const hex = bits.toString(16).padStart(32, "0");
  if (codeLength < uuidLength) return hex.slice(0, codeLength);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

/**
 * How haystacks and questions are written: `json`, one object on one line, as published, or `table`, lines of two columns
 * with short questions, which base models without instruction tuning can answer.
 */
export type NeedleWording = "json" | "table";

const tableHead = "Key | Value\n";

/**
 * The pairs as text. In JSON duplicate keys stay and the order is kept, which `JSON.stringify` of an object would not
 * do.
 */
export function printHaystack(pairs: readonly Pair[], wording: NeedleWording = "json"): string {
  if (wording === "table") {
    return tableHead + pairs.map(({ key, value }) => `${key} | ${value}\n`).join("");
  }
  return `{${pairs.map(({ key, value }) => `"${key}": "${value}"`).join(", ")}}`;
}

/** Characters of a haystack: 80 for each pair of UUIDs in JSON. */
export function haystackLength(
  pairs: number,
  codeLength: number = uuidLength,
  wording: NeedleWording = "json",
): number {
  if (wording === "table") return tableHead.length + pairs * (2 * codeLength + 4);
  return pairs * (2 * codeLength + 8);
}
