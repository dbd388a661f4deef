import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const data = process.env["JETON_DATA"];
const tiny = data ? join(data, "models/tinystories-260k") : "";

/** Folder of a small model: tinystories-260k of `JETON_DATA` where present, otherwise jeton-nano. */
export const testModelFolder: string = existsSync(tiny)
  ? tiny
  : fileURLToPath(new URL("../../../models/jeton-nano", import.meta.url));
