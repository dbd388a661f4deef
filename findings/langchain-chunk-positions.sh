#!/usr/bin/env bash
# LangChain says minus one, or other lines, for where a chunk stands in its text.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  @langchain/textsplitters@1.0.2 \
  @langchain/core@1.4.0
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  langchain-text-splitters==1.1.2 langchain-core==1.6.5 pydantic==2.13.5 pydantic_core==2.46.5 \
  annotated-types==0.8.0 typing-inspection==0.4.4 typing_extensions==4.16.0 packaging==26.3 requests==2.34.2 \
  charset-normalizer==3.5.2 urllib3==2.8.0 idna==3.20 certifi==2026.7.22 uuid_utils==0.17.1 \
  2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   langchain-text-splitters 1.1.2 (Python), @langchain/textsplitters 1.0.2 (JavaScript)"
cat <<'TEXT'
behaviour: Expected: start_index (Python) and loc.lines (JavaScript) in a chunk's metadata tell where in the text
           the chunk was taken from; the chunk stands there letter by letter.
           Happens: in Python the overlap, which is counted in tokens or words when the length function counts
           these, is subtracted as characters: the search for the chunk begins behind it and finds nothing
           (-1) or a later repetition. In JavaScript the search begins one character after the previous
           chunk, so a text with repeated lines is numbered with lines that other chunks have.
           Hurt: retrieval that cites or highlights: about every second chunk cut by tokens has no place, and
           text[-1:] is a valid slice, so the citation is empty or wrong without an error.
output:
TEXT

cat > check.py <<'PYTHON'
from langchain_text_splitters import RecursiveCharacterTextSplitter

words = [f"{size}{'x' * (size % 9)}" for size in range(300)]
text = " ".join(words)
splitter = RecursiveCharacterTextSplitter(
    chunk_size=20, chunk_overlap=8, length_function=lambda part: len(part.split()), add_start_index=True)
chunks = splitter.create_documents([text])
missing = sum(chunk.metadata["start_index"] == -1 for chunk in chunks)
assert all(chunk.page_content in text for chunk in chunks)
print(f"Python: start_index is -1 for {missing} of {len(chunks)} chunks, all of which are in the text")
assert missing >= len(chunks) // 3
PYTHON
python/bin/python check.py

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { RecursiveCharacterTextSplitter } from "@langchain/textsplitters";

const text = `${"Same line.\n".repeat(6)}Last line.`;
const splitter = new RecursiveCharacterTextSplitter({ chunkSize: 25, chunkOverlap: 0 });
const chunks = await splitter.createDocuments([text]);
const lines = chunks.map(({ metadata }) => `${metadata.loc.lines.from}-${metadata.loc.lines.to}`);
const expected = [];
let at = 0;
for (const { pageContent } of chunks) {
  const start = text.indexOf(pageContent, at);
  const from = text.slice(0, start).split("\n").length;
  expected.push(`${from}-${from + pageContent.split("\n").length - 1}`);
  at = start + pageContent.length;
}
console.log(`JavaScript: lines ${lines.join(", ")}; the chunks without overlap are lines ${expected.join(", ")}`);
assert.equal(chunks.map(({ pageContent }) => pageContent).join("\n"), text);
assert.notDeepEqual(lines, expected);
JAVASCRIPT
node check.mjs
