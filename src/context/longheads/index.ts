export { type LongHeadsOptions, longHeads, longHeadsPolicy } from "./longheads.ts";
