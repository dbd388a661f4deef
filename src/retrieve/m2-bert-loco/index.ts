/** M2-BERT: one vector for a whole long document, by long convolutions in the place of attention. */
export { type LongEncoderSizes, longEncoderConfig, stretchConfig } from "./m2-bert-loco.ts";
