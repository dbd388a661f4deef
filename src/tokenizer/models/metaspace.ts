/** The space of SentencePiece, U+2581. */
export const metaspace = "\u2581";
export const metaspaceUnit = 0x2581;
