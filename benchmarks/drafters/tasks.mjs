/**
 * Prints requests of all kinds as JSON, from the library's sources (its test helpers are in no build):
 *
 *     node --import tsx benchmarks/drafters/tasks.mjs COUNT
 */
import { decodingTaskKinds, decodingTasks } from "../../src/generate/testing/decoding-tasks.ts";

const count = Number(process.argv[2]);
const all = {};
for (const kind of decodingTaskKinds) {
  all[kind] = (await decodingTasks({ kind, count, seed: 7 })).map(({ prompt }) => prompt);
}
process.stdout.write(JSON.stringify(all));
