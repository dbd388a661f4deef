/** Ground floor: errors, seeded random numbers, progress, tables. */
export { JetonError, type JetonErrorOptions } from "./error.ts";
export { createRandom, type Random } from "./random.ts";
