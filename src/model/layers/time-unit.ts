/** Lengths of texts are filled up to a multiple of this: sums over few and many keys then run in one order. */
export const timeUnit = 16;
