/**
 * Changes an index step by step until it is killed, and says on standard output which steps are acknowledged:
 * `node index-until-killed.mjs FOLDER FIRST-STEP`.
 */
import { writeSync } from "node:fs";
import { openIndex } from "../open-index.ts";
import { changeOf } from "./steps.ts";

const [, , folder = "", first = "0"] = process.argv;
const index = await openIndex(folder, { flushAt: 23, invertFrom: 40 });
writeSync(1, `open ${index.size}\n`);
for (let step = Number(first); ; step++) {
  const { put, remove } = changeOf(step);
  await index.put(put);
  if (remove.length > 0) await index.delete(remove);
  writeSync(1, `done ${step}\n`);
}
