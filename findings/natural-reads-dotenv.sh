#!/usr/bin/env bash
# Importing the language library natural reads a .env file and prints advertisements.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  natural@8.1.1

echo "version:   natural 8.1.1"
cat <<'TEXT'
behaviour: Expected: importing a library for stemming and distances changes neither the environment nor
           the output.
           Happens: values of a .env file in the current folder enter process.env, and lines with tips
           about another product go to standard output.
           Hurt: programs that write JSON or text to standard output (the lines stand before it), and
           servers that start with settings from a file which they never asked for.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";

writeFileSync(".env", "SETTING_OF_ANOTHER_PROGRAM=1\n");
const source = 'const n = require("natural"); console.log(n.PorterStemmer.stem("running"), process.env.SETTING_OF_ANOTHER_PROGRAM)';
const { stdout } = spawnSync(process.execPath, ["--input-type=commonjs", "--eval", source], { encoding: "utf8" });
const lines = stdout.trim().split("\n");
const foreign = lines.filter((line) => line.includes(".env"));
console.log(`${foreign.length} lines before the program's own: ${lines.at(-1)} (stem, then the setting)`);
assert.ok(foreign.length >= 1);
assert.equal(lines.at(-1), "run 1");
JAVASCRIPT
node check.mjs
