#!/usr/bin/env bash
# Orama's BM25 counts a word once however often it occurs; told to keep repetitions, it scores below zero.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @orama/orama@3.1.18

echo "version:   @orama/orama 3.1.18"
cat <<'TEXT'
behaviour: Expected: BM25 grows with the number of times a word is in a document, and is positive.
           Happens: the tokenizer drops repetitions before the index counts: a text about wind scores what it scores with
           wind said once, and only the number of different words decides. With the tokenizer's allowDuplicates: true
           each repetition also counts as a document that has the word: a word with more occurrences than there are
           documents has a negative weight, and the text that says it most comes last.
           Hurt: search and hybrid search over articles, where what a text is about shows in what it repeats: the word half
           of the ranking cannot see it, and the option that looks like the remedy turns the order around.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { create, insert, search } from "@orama/orama";

const documents = [
  { id: "mention", text: "a note on rivers, lakes, and also wind" },
  { id: "about", text: "wind, and more wind: wind on land, wind at sea" },
  { id: "forest", text: "trees in the forest" },
  { id: "city", text: "streets of the city" },
];
const scores = async (components) => {
  const database = create({ schema: { text: "string" }, components });
  for (const document of documents) await insert(database, document);
  const found = await search(database, { term: "wind" });
  return Object.fromEntries(found.hits.map(({ id, score }) => [id, score]));
};
const show = (found) => Object.entries(found).map(([id, score]) => `${id} ${score.toFixed(3)}`).join(", ");
const plain = await scores({});
const repeated = await scores({ tokenizer: { language: "english", allowDuplicates: true } });
console.log(`a search for wind, said once in "mention" and four times in "about": ${show(plain)}`);
console.log(`with allowDuplicates: ${show(repeated)}`);
documents[1].text = "wind, and more on land at sea";
const once = await scores({});
console.log(`with the repetitions taken out of "about": ${show(once)}`);
assert.equal(once.about, plain.about);
assert.ok(repeated.about < repeated.mention && repeated.mention < 0);
JAVASCRIPT
node check.mjs
