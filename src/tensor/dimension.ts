/**
 * Dimensions of symbolic tensors: a number, or a polynomial over named sizes.
 *
 * `"time"` is a named size that is known only when a program runs. Operators combine sizes:
 * concatenation adds them, reshaping multiplies them. Results stay exact and comparable, because
 * every dimension is kept in one canonical spelling, such as `"past+time"` or `"4*batch*time"`.
 */
import { JetonError } from "../core/index.ts";

/** A size: a non-negative integer, or a canonical polynomial such as `"batch*time+1"`. */
export type Dimension = number | string;

/** Monomial (sorted names joined by `*`, `""` for the constant) to integer coefficient. */
type Polynomial = Map<string, number>;

const parsed: Map<string, Polynomial> = new Map();

function toPolynomial(dimension: Dimension): Polynomial {
  if (typeof dimension === "number") return new Map(dimension === 0 ? [] : [["", dimension]]);
  const known = parsed.get(dimension);
  if (known) return known;
  const polynomial: Polynomial = new Map();
  for (const term of dimension.split(/(?=[+-])/)) {
    let coefficient = 1;
    const names: string[] = [];
    for (const factor of term.replace(/^\+/, "").split("*")) {
      const [, sign, digits, name] = /^(-?)(\d*)([A-Za-z_][\w.]*)?$/.exec(factor.trim()) ?? [];
      if (digits === undefined || (digits === "") === (name === undefined) || (digits && name)) {
        throw new JetonError(
          `a dimension is a name such as "time" or a sum of products of names, not ${JSON.stringify(dimension)}`,
          { code: "tensor-dimension-invalid", details: { dimension } },
        );
      }
      if (sign) coefficient = -coefficient;
      if (name === undefined) coefficient *= Number(digits);
      else names.push(name);
    }
    add(polynomial, names.sort().join("*"), coefficient);
  }
  parsed.set(dimension, polynomial);
  return polynomial;
}

function add(polynomial: Polynomial, monomial: string, coefficient: number): void {
  const sum = (polynomial.get(monomial) ?? 0) + coefficient;
  if (sum === 0) polynomial.delete(monomial);
  else polynomial.set(monomial, sum);
}

function fromPolynomial(polynomial: Polynomial): Dimension {
  if (polynomial.size === 0) return 0;
  if (polynomial.size === 1 && polynomial.has("")) return polynomial.get("")!;
  // Names before the constant, so that "past+1" reads as people write it.
  const monomials = [...polynomial.keys()].sort((a, b) =>
    a === "" ? 1 : b === "" ? -1 : a < b ? -1 : 1,
  );
  let text = "";
  for (const monomial of monomials) {
    const coefficient = polynomial.get(monomial)!;
    const magnitude = Math.abs(coefficient);
    const body =
      monomial === "" ? `${magnitude}` : magnitude === 1 ? monomial : `${magnitude}*${monomial}`;
    text += coefficient < 0 ? `-${body}` : text === "" ? body : `+${body}`;
  }
  if (!parsed.has(text)) parsed.set(text, polynomial);
  return text;
}

/** The canonical spelling of a dimension that a user wrote. */
export function canonicalDimension(dimension: Dimension): Dimension {
  if (typeof dimension === "number") {
    if (!Number.isSafeInteger(dimension) || dimension < 0) {
      throw new JetonError(`a dimension is a non-negative integer or a name, not ${dimension}`, {
        code: "tensor-dimension-invalid",
        details: { dimension },
      });
    }
    return dimension;
  }
  return fromPolynomial(new Map(toPolynomial(dimension)));
}

/** The sum of sizes. */
export function addDimensions(...dimensions: Dimension[]): Dimension {
  if (dimensions.every((dimension) => typeof dimension === "number")) {
    return dimensions.reduce<number>((sum, dimension) => sum + (dimension as number), 0);
  }
  const sum: Polynomial = new Map();
  for (const dimension of dimensions) {
    for (const [monomial, coefficient] of toPolynomial(dimension)) add(sum, monomial, coefficient);
  }
  return fromPolynomial(sum);
}

/** `a - b`; a number may become negative. */
export function subtractDimensions(a: Dimension, b: Dimension): Dimension {
  return addDimensions(a, typeof b === "number" ? -b : multiplyDimensions(-1, b));
}

/** The product of sizes; 1 for none. */
export function multiplyDimensions(...dimensions: Dimension[]): Dimension {
  let product: Polynomial = new Map([["", 1]]);
  for (const dimension of dimensions) {
    const next: Polynomial = new Map();
    for (const [left, a] of product) {
      for (const [right, b] of toPolynomial(dimension)) {
        const names = [...left.split("*"), ...right.split("*")].filter((name) => name !== "");
        add(next, names.sort().join("*"), a * b);
      }
    }
    product = next;
  }
  return fromPolynomial(product);
}

/** `a / b` where it is exact for every value of the names, otherwise `undefined`. */
export function divideDimensions(a: Dimension, b: Dimension): Dimension | undefined {
  const divisor = toPolynomial(b);
  if (divisor.size !== 1) return a === b ? 1 : undefined;
  const [[monomial, coefficient]] = divisor as unknown as [[string, number]];
  const removed = monomial === "" ? [] : monomial.split("*");
  const quotient: Polynomial = new Map();
  for (const [term, factor] of toPolynomial(a)) {
    const names = term === "" ? [] : term.split("*");
    for (const name of removed) {
      const at = names.indexOf(name);
      if (at < 0) return undefined;
      names.splice(at, 1);
    }
    if (factor % coefficient !== 0) return undefined;
    quotient.set(names.join("*"), factor / coefficient);
  }
  return fromPolynomial(quotient);
}

/** True for a dimension that is one name alone. */
export function isDimensionName(dimension: Dimension): boolean {
  return typeof dimension === "string" && /^[A-Za-z_][\w.]*$/.test(dimension);
}

/** Names that occur in a dimension. */
export function dimensionNames(dimension: Dimension): string[] {
  if (typeof dimension === "number") return [];
  const names = [...toPolynomial(dimension).keys()].flatMap((monomial) => monomial.split("*"));
  return [...new Set(names.filter((name) => name !== ""))];
}

/** The terms of a dimension: coefficient and names of each monomial. */
export function dimensionTerms(dimension: Dimension): { coefficient: number; names: string[] }[] {
  return [...toPolynomial(dimension)].map(([monomial, coefficient]) => ({
    coefficient,
    names: monomial === "" ? [] : monomial.split("*"),
  }));
}

/** The value of a dimension where every name has a value. */
export function evaluateDimension(
  dimension: Dimension,
  sizes: ReadonlyMap<string, number>,
): number {
  if (typeof dimension === "number") return dimension;
  let sum = 0;
  for (const { coefficient, names } of dimensionTerms(dimension)) {
    let product = coefficient;
    for (const name of names) {
      const size = sizes.get(name);
      if (size === undefined) {
        throw new JetonError(`the size of dimension "${name}" is not known`, {
          code: "tensor-dimension-unknown",
          details: { dimension, name },
        });
      }
      product *= size;
    }
    sum += product;
  }
  return sum;
}

/** Number of elements of a shape. */
export function sizeOfShape(shape: readonly Dimension[]): Dimension {
  return multiplyDimensions(...shape);
}

/** `[batch, time, 64]` */
export function formatShape(shape: readonly Dimension[]): string {
  return `[${shape.join(", ")}]`;
}

/** True where two shapes are equal for every value of their names. */
export function shapesEqual(a: readonly Dimension[], b: readonly Dimension[]): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}
