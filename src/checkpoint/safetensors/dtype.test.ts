import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { narrowToBFloat16, narrowToFloat16, widenToFloat32 } from "./dtype.ts";

/** The value of a 16-bit float, from the definition of the format. */
function decode16(bits: number, exponentBits: number): number {
  const fractionBits = 15 - exponentBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits >> 15 ? -1 : 1;
  const exponent = (bits >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  if (exponent === 2 ** exponentBits - 1) return fraction ? Number.NaN : sign * Infinity;
  return (
    sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias))
  );
}

const formats = [
  { dtype: "F16", exponentBits: 5, narrow: narrowToFloat16 },
  { dtype: "BF16", exponentBits: 8, narrow: narrowToBFloat16 },
] as const;
const all16 = Uint16Array.from({ length: 65536 }, (_, i) => i);

describe.each(formats)("$dtype", ({ dtype, exponentBits, narrow }) => {
  const widen = (source: Uint16Array): Float32Array => {
    const target = new Float32Array(source.length);
    widenToFloat32(dtype, source, target);
    return target;
  };
  const narrowed = (values: Float32Array): Uint16Array => {
    const target = new Uint16Array(values.length);
    narrow(values, target);
    return target;
  };

  test("widening gives every value of the format", () => {
    const widened = widen(all16);
    for (let bits = 0; bits < 65536; bits++) {
      if (!Object.is(widened[bits], decode16(bits, exponentBits))) {
        expect({ bits, value: widened[bits] }).toEqual({
          bits,
          value: decode16(bits, exponentBits),
        });
      }
    }
  });

  test("narrowing what was widened gives the same bits; NaN stays NaN", () => {
    const back = narrowed(widen(all16));
    for (let bits = 0; bits < 65536; bits++) {
      const expected = decode16(bits, exponentBits);
      if (Number.isNaN(expected)) expect(decode16(back[bits]!, exponentBits)).toBeNaN();
      else if (back[bits] !== bits)
        expect({ bits, back: back[bits] }).toEqual({ bits, back: bits });
    }
  });

  test("widening in the second half of the target's own memory gives the same", () => {
    const target = new Float32Array(65536);
    const source = new Uint16Array(target.buffer, 65536 * 2, 65536);
    source.set(all16);
    widenToFloat32(dtype, source, target);
    expect(Buffer.from(target.buffer).equals(Buffer.from(widen(all16).buffer))).toBe(true);
  });

  /** The nearest value by search among neighbours, a tie to the one with even bits. */
  const nearest = (value: number): number => {
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
    const magnitude = Math.abs(value);
    let low = 0;
    let high = (2 ** exponentBits - 1) * 2 ** (15 - exponentBits); // infinity
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (decode16(middle, exponentBits) <= magnitude) low = middle;
      else high = middle;
    }
    const below = decode16(low, exponentBits);
    // Infinity rounds as if it were the next finite value.
    const infinite = decode16(high, exponentBits) === Infinity;
    const step = below - decode16(low - 1, exponentBits);
    const above = infinite ? below + step : decode16(high, exponentBits);
    if (magnitude === Infinity) return sign | high;
    const toBelow = magnitude - below;
    const toAbove = above - magnitude;
    if (toBelow === toAbove) return sign | (low % 2 === 0 ? low : high);
    return sign | (toBelow < toAbove ? low : high);
  };

  test("narrowing rounds to nearest, ties to even", () => {
    const bits32 = fc.oneof(
      fc.integer({ min: 0, max: 0xffffffff }),
      // Around every boundary: values of the format, the middles between them, and their neighbours.
      fc
        .tuple(
          fc.integer({ min: 0, max: 0xffff }),
          fc.constantFrom(0, 0.5),
          fc.integer({ min: -2, max: 2 }),
        )
        .map(([bits, part, nudge]) => {
          const here = decode16(bits, exponentBits);
          const next = decode16(bits + 1, exponentBits);
          const value = Float32Array.of(here + (Number.isFinite(next) ? (next - here) * part : 0));
          return (new Uint32Array(value.buffer)[0]! + nudge) >>> 0;
        }),
    );
    fc.assert(
      fc.property(bits32, (bits) => {
        const value = new Float32Array(Uint32Array.of(bits).buffer);
        const result = narrowed(value)[0]!;
        if (Number.isNaN(value[0])) expect(decode16(result, exponentBits)).toBeNaN();
        else expect(result).toBe(nearest(value[0]!));
      }),
      { numRuns: 20_000 },
    );
  });
});
