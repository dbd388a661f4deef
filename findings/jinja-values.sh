#!/usr/bin/env bash
# Values that a chat template prints or compares come out differently in JavaScript.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  @huggingface/jinja@0.5.11
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  jinja2==3.1.6 MarkupSafe==3.0.3 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   @huggingface/jinja 0.5.11, jinja2 3.1.6, MarkupSafe 3.0.3"
cat <<'TEXT'
behaviour: Expected: a template prints and compares values as Python's Jinja does.
           Happens: lists and mappings are printed as JSON, None as nothing, True in small letters; '1'
           equals 1 and '' equals false; -7 % 3 is -1; capitalize keeps later capitals.
           Hurt: models with tools: arguments and enumerations printed without `tojson` give a prompt that
           the model was not trained on, and `== false` takes the other branch for an empty text.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { Template } from "@huggingface/jinja";

const expected = {
  "{{ ['a', none, true] }}": ["['a', None, True]", '["a", null, true]'],
  "{{ {'k': 'it'} }}": ["{'k': 'it'}", '{"k": "it"}'],
  "[{{ none }}]": ["[None]", "[]"],
  "{{ '1' == 1 }}": ["False", "true"],
  "{{ '' == false }}": ["False", "true"],
  "{{ -7 % 3 }}": ["2", "-1"],
  "{{ 'hello World' | capitalize }}": ["Hello world", "Hello World"],
};
const program = "import jinja2, sys; print(jinja2.Template(sys.argv[1]).render(), end='')";
const found = {};
for (const source of Object.keys(expected)) {
  const python = execFileSync("python/bin/python", ["-c", program, source], { encoding: "utf8" });
  found[source] = [python, new Template(source).render({})];
  console.log(`${source}: Python ${python}, JavaScript ${found[source][1]}`);
}
assert.deepEqual(found, expected);
JAVASCRIPT
node check.mjs
