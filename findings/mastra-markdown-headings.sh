#!/usr/bin/env bash
# Mastra's Markdown chunks lose the marks of headings and of code blocks, where the text happens to be cut.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @mastra/rag@2.6.4 @mastra/core@1.71.0 zod@4.6.7 \
  @langchain/textsplitters@1.0.2 @langchain/core@1.4.0

echo "version:   @mastra/rag 2.6.4, @langchain/textsplitters 1.0.2"
cat <<'TEXT'
behaviour: Expected: the strategy "markdown" cuts at headings and code blocks and leaves both what they are, as LangChain's
           splitter of the same design does.
           Happens: the mark at which the text is cut is dropped: "## Limits" becomes "Limits" at the head of a chunk, but stays a
           heading inside one; a code block loses its closing fence. LaTeX loses \section{ and keeps the closing brace.
           Hurt: models and renderers that read the chunks: titles look like sentences, and behind an unclosed fence all that
           follows in the prompt is code. It depends on the lengths, so the same document looks right elsewhere.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { MDocument } from "@mastra/rag";
import { MarkdownTextSplitter } from "@langchain/textsplitters";

const text = "# Guide\n\nRead this first, please.\n\n## Limits\n\nAt most five of them a day.\n\n```py\nx = f(1)\ny = g(2)\n```\n\nThe last line of it is here.\n";
const mastra = (await MDocument.fromMarkdown(text).chunk({ strategy: "markdown", maxSize: 50, overlap: 0 })).map((part) => part.text);
const langchain = await new MarkdownTextSplitter({ chunkSize: 50, chunkOverlap: 0 }).splitText(text);
const latex = (await MDocument.fromText("\\section{Size}\nIt weighs one ton.\n\\section{Colour}\nIt is red all over.")
  .chunk({ strategy: "latex", maxSize: 40, overlap: 0 })).map((part) => part.text);
console.log("Mastra:   ", JSON.stringify(mastra));
console.log("LangChain:", JSON.stringify(langchain));
console.log("LaTeX:    ", JSON.stringify(latex));
const fences = (parts) => parts.join("\n").match(/```/g)?.length ?? 0;
assert.ok(langchain.join("\n").includes("## Limits") && fences(langchain) === 2);
assert.ok(!mastra.join("\n").includes("## Limits") && mastra.join("\n").includes("Limits"));
assert.ok(fences(mastra) < 2);
assert.ok(latex.some((part) => /^(Size|Colour)\}/.test(part)));
JAVASCRIPT
node check.mjs
