/** Floats as text: `repr`, and rounding to decimals as Python does it (exactly, halves to even). */

/** `repr` of a float: the shortest digits that give it back. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa, power] = Math.abs(value).toExponential().split("e");
  const exponent = Number(power);
  const digits = mantissa!.replace(".", "");
  const sign = value < 0 ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    return `${sign}${withPoint(digits, 1, false)}e${exponentText(exponent)}`;
  }
  return sign + withPoint(digits, exponent + 1, true);
}

/** Puts the decimal point after `position` digits, with zeros where there are too few. */
function withPoint(digits: string, position: number, wholeIsFloat: boolean): string {
  if (position <= 0) return `0.${"0".repeat(-position)}${digits}`;
  const whole = digits.slice(0, position).padEnd(position, "0");
  const fraction = digits.slice(position);
  if (fraction === "") return wholeIsFloat ? `${whole}.0` : whole;
  return `${whole}.${fraction}`;
}

/** An exponent with sign and at least two digits. */
export function exponentText(exponent: number): string {
  return (exponent < 0 ? "-" : "+") + String(Math.abs(exponent)).padStart(2, "0");
}

/** Mantissa and power of two of a finite float: value = mantissa · 2^exponent. */
export function splitFloat(value: number): { mantissa: bigint; exponent: number } {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const power = Number((bits >> 52n) & 0x7ffn);
  const fraction = bits & 0xf_ffff_ffff_ffffn;
  const mantissa = power === 0 ? fraction : fraction | 0x10_0000_0000_0000n;
  return { mantissa: value < 0 ? -mantissa : mantissa, exponent: (power || 1) - 1075 };
}

/** numerator / denominator to the nearest integer, halves to even. Both are at least 0. */
export function divideRounded(numerator: bigint, denominator: bigint): bigint {
  const quotient = numerator / denominator;
  const twice = (numerator - quotient * denominator) * 2n;
  const up = twice > denominator || (twice === denominator && (quotient & 1n) === 1n);
  return up ? quotient + 1n : quotient;
}

/** |value| · 10^decimals to the nearest integer, halves to even, computed exactly. */
export function scaleRounded(value: number, decimals: number): bigint {
  const { mantissa, exponent } = splitFloat(Math.abs(value));
  let numerator = mantissa;
  let denominator = 1n;
  if (exponent >= 0) numerator <<= BigInt(exponent);
  else denominator <<= BigInt(-exponent);
  if (decimals >= 0) numerator *= 10n ** BigInt(decimals);
  else denominator *= 10n ** BigInt(-decimals);
  return divideRounded(numerator, denominator);
}

/** |value| with a fixed number of decimals (`%.3f` without sign). The value is finite. */
export function fixedText(value: number, decimals: number): string {
  const digits = scaleRounded(value, decimals)
    .toString()
    .padStart(decimals + 1, "0");
  const point = digits.length - decimals;
  return decimals === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`;
}

/** |value| as `digits` significant digits and the power of ten of the first of them. */
export function significantDigits(
  value: number,
  digits: number,
): { text: string; exponent: number } {
  if (value === 0) return { text: "0".repeat(digits), exponent: 0 };
  let exponent = Number(Math.abs(value).toExponential().split("e")[1]);
  let text = scaleRounded(value, digits - 1 - exponent).toString();
  if (text.length > digits) {
    exponent++;
    text = scaleRounded(value, digits - 1 - exponent).toString();
  }
  return { text, exponent };
}

/** |value| in scientific notation (`%.3e` without sign). */
export function scientificText(value: number, decimals: number): string {
  const { text, exponent } = significantDigits(value, decimals + 1);
  const fraction = text.slice(1);
  return `${text[0]}${fraction === "" ? "" : `.${fraction}`}e${exponentText(exponent)}`;
}

/** |value| as `%.{precision}g` writes it; `keepZeros` is the flag `#`. */
export function generalText(value: number, precision: number, keepZeros: boolean): string {
  const wanted = precision === 0 ? 1 : precision;
  const { text, exponent } = significantDigits(value, wanted);
  const scientific = exponent < -4 || exponent >= wanted;
  const digits = keepZeros ? text : text.replace(/0+$/, "") || "0";
  if (!scientific) {
    const plain = withPoint(digits, exponent + 1, false);
    return keepZeros && !plain.includes(".") ? `${plain}.` : plain;
  }
  const fraction = digits.slice(1);
  const point = fraction !== "" || keepZeros ? "." : "";
  return `${digits[0]}${point}${fraction}e${exponentText(exponent)}`;
}

/** `round(value, decimals)` of a finite float. */
export function roundFloat(value: number, decimals: number): number {
  if (decimals > 323) return value;
  if (decimals < -308) return value < 0 ? -0 : 0;
  const scaled = scaleRounded(value, decimals);
  const rounded = Number(`${scaled}e${-decimals}`);
  return value < 0 || Object.is(value, -0) ? -rounded : rounded;
}
