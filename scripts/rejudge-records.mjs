// Takes the verdicts of recorded measurements anew, by the levels that their claims have now: numbers and
// intervals stay as they were measured. For levels that turn out to be within a control's reach.
//
//     node --import tsx scripts/rejudge-records.mjs [SYSTEM…]
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { rejudge } from "../src/reproduce/record.ts";
import { systems } from "../src/systems.ts";

const names = process.argv.slice(2);
for (const { slug, reproduction: load } of systems) {
  const path = new URL(`../reproductions/${slug}.json`, import.meta.url);
  if (!load || !existsSync(path) || (names.length > 0 && !names.includes(slug))) continue;
  const { reproduction } = await load();
  const record = JSON.parse(readFileSync(path, "utf8"));
  // Older records have points without intervals.
  if (!record.claims.every(({ control }) => control)) continue;
  const judged = rejudge(record, reproduction);
  const changed = judged.claims.filter((claim, at) => claim !== record.claims[at]);
  if (changed.length === 0) continue;
  writeFileSync(
    path,
    `${JSON.stringify({ ...judged, judged: new Date().toISOString() }, null, 2)}\n`,
  );
  for (const { id, verdict } of changed) console.log(`${slug}: ${id}: ${verdict}`);
}
