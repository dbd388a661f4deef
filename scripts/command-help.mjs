// Writes the output of each `jeton … --help` block into docs/commands/*.md: `npm run build && node scripts/command-help.mjs`.
// tests/documents compares them.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = `${root}docs/commands/`;
const block = /(```sh\njeton (.*--help)\n```\n\n<!-- output -->\n```text\n)[\s\S]*?\n?(```)/g;

for (const name of readdirSync(folder)) {
  const text = readFileSync(folder + name, "utf8");
  const written = text.replace(block, (_all, start, words, end) => {
    const args = [`${root}dist/cli/main.js`, ...words.split(" ")];
    const help = execFileSync(process.execPath, args, { encoding: "utf8" });
    return `${start}${help.trimEnd()}\n${end}`;
  });
  if (written !== text) writeFileSync(folder + name, written);
}
