// Lists places that use words which the project has decided against: `node scripts/retired-words.mjs [PATH…]`.
// The field's word is the name. docs/glossary.md holds what is used instead. Exits with 1 when it finds any.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Each rule: what is found, what to write, and where it holds (default: everywhere below). */
const rules = [
  { find: /\blaws?\b/i, write: "distribution" },
  { find: /\b(?:guess(?:es|ed|ing)?|guessing ahead)\b/i, write: "draft token, draft, drafting" },
  { find: /\bforwards\b(?! compat)/i, write: "forward passes" },
  { find: /\b(?:an?|one|each|every|per) forward\b(?! pass|-|$)/i, write: "forward pass" },
  { find: /\bplain (?:decoding|forwards?|steps?)\b/i, write: "autoregressive decoding" },
  { find: /\brefus(?:es|ed|al|als|ing)\b/i, write: "rejected", in: /^src\/generate\// },
  {
    find: /\b(?:rooms?|floors of|house|houses)\b(?!-)/i,
    write: "module, layer; capacity, space",
    in: /^(?!.*\.test\.ts$)/,
  },
  { find: /\bverbs?\b/i, write: "command" },
  { find: /\b(?:whoever|nobody|whatever)\b/i, write: "a named subject" },
  {
    find: /\b(?:beginning|begin-of-sequence|beginOfSequence) (?:token|id)s?\b/i,
    write: "BOS token",
  },
  {
    find: /\b(?:beginningId|endOfSequence\w*|beginOfSequence\w*|headWidth|feedForwardWidth)\b/,
    write: "bosTokenId, eosTokenId, headDim, intermediateSize",
  },
  { find: /\b(?:maximum|minimum)(?!Operator)[A-Z]\w*\b/, write: "max…, min…" },
  { find: /^\s*private (?:static |readonly |async |get |set )*\w/, write: "#private", in: /\.ts$/ },
  { find: /\b(?:copy heads?|copyHeads)\b/i, write: "induction heads" },
  { find: /\bsensitivit(?:y|ies)\b/i, write: "input gradients" },
  { find: /\bdraw[A-Z]\w*\b/, write: "sample… from a distribution, render… of plots" },
];

/** Titles of papers, citations, data and the glossary's earlier words may hold any word. */
const quoted =
  /^\s*>|\(earlier: |bibtex|@(?:article|misc|inproceedings)|retired-words|createRandom\(/i;
const exempt = [
  /^scripts\/retired-words\.mjs$/,
  /^src\/retired-words\.test\.ts$/,
  /^src\/reproduce\/data\//,
  /\.snap$/,
  /^docs\/log\//,
  /^CHANGELOG\.md$/,
];

/** The uses of retired words in the text of one file. */
export function findRetiredWordsIn(file, content) {
  const found = [];
  for (const [index, text] of content.split("\n").entries()) {
    if (quoted.test(text)) continue;
    for (const { find, write, in: where } of rules) {
      if (where && !where.test(file)) continue;
      const word = find.exec(text)?.[0];
      if (word) found.push({ file, line: index + 1, text: text.trim(), word, write });
    }
  }
  return found;
}

/** All uses of retired words below the given paths: `{ file, line, text, word, write }`. */
export function findRetiredWords(
  paths = ["src", "README.md", "CONTRIBUTING.md", "docs", "examples"],
) {
  const files = execFileSync("git", ["ls-files", "--", ...paths], { cwd: root, encoding: "utf8" })
    .split("\n")
    .filter((file) => /\.(?:ts|mjs|md|snap)$/.test(file))
    .filter((file) => !exempt.some((pattern) => pattern.test(file)));
  const found = [];
  for (const file of files) {
    found.push(...findRetiredWordsIn(file, readFileSync(`${root}${file}`, "utf8")));
  }
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = findRetiredWords(process.argv.length > 2 ? process.argv.slice(2) : undefined);
  for (const { file, line, word, write, text } of found) {
    console.log(`${file}:${line}: ${word} -> ${write}: ${text.slice(0, 110)}`);
  }
  console.log(`${found.length} places`);
  process.exitCode = found.length > 0 ? 1 : 0;
}
