#!/usr/bin/env bash
# A vectra filter for a list of numbers finds none of them, and excluding them excludes none.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline vectra@0.15.0

echo "version:   vectra 0.15.0"
cat <<'TEXT'
behaviour: Expected: { year: { $in: [2020, 2021] } } keeps the items of these years and $nin leaves them out, as the types
           (lists of numbers or strings) and the model, MongoDB's operators, say.
           Happens: $in compares strings only: no number is ever in a list and no number ever excluded. A list of
           strings matches numbers that are part of one: 0 and 20 are in ["2020"]. $eq, $gt and $lt are right.
           Hurt: retrieval with filters by year, page or version given as numbers: $in gives an empty context to the
           model, and $nin gives it the outdated documents that the filter was to leave out.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { LocalIndex } from "vectra";

const index = new LocalIndex("index");
await index.createIndex({ version: 1 });
for (const year of [0, 20, 2019, 2020, 2021]) {
  await index.insertItem({ vector: [1, 0], metadata: { year, name: `y${year}` } });
}
const years = async (filter) => {
  const found = await index.queryItems([1, 0], "", 9, filter);
  return found.map(({ item }) => item.metadata.year).sort((a, b) => a - b);
};
const expected = [
  [{ year: { $eq: 2020 } }, [2020]],
  [{ $or: [{ year: 2020 }, { year: 2021 }] }, [2020, 2021]],
  [{ name: { $in: ["y2020", "y2021"] } }, [2020, 2021]],
  [{ year: { $in: [2020, 2021] } }, []],
  [{ year: { $nin: [2020, 2021] } }, [0, 20, 2019, 2020, 2021]],
  [{ year: { $in: ["2020"] } }, [0, 20, 2020]],
];
for (const [filter, result] of expected) {
  const found = await years(filter);
  console.log(`${JSON.stringify(filter)}: ${found.join(", ") || "nothing"}`);
  assert.deepEqual(found, result);
}
JAVASCRIPT
node check.mjs
