/** Lines of plots of bits along a text. */

/** Where bits lie in a plot, in the units of its drawing. */
export interface CurveScale {
  readonly width: number;
  readonly height: number;
  /** Bits at the top. */
  readonly top: number;
}

/** The height of a number of bits, from the top down. */
export function curveHeight({ height, top }: CurveScale, bits: number): number {
  return height - (bits / top) * (height - 4);
}

/** The path through the bits of equally wide places. */
export function curvePath(scale: CurveScale, bits: readonly number[]): string {
  const step = scale.width / bits.length;
  return bits
    .map((value, place) => {
      const x = (place + 0.5) * step;
      return `${place === 0 ? "M" : "L"}${x.toFixed(1)} ${curveHeight(scale, value).toFixed(1)}`;
    })
    .join("");
}
