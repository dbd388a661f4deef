#!/usr/bin/env bash
# minijinja in JavaScript sorts the fields of every tool and of its parameters by name before a chat template sees them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline minijinja-js@2.11.0 @huggingface/jinja@0.5.11
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  jinja2==3.1.6 MarkupSafe==3.0.3 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   minijinja-js 2.11.0, @huggingface/jinja 0.5.11, jinja2 3.1.6"
cat <<'TEXT'
behaviour: Expected: objects keep the order of their fields, as in JavaScript, JSON and Python; the tools of a prompt begin with
           "type" and "name", parameters come in the order of their schema, a loop over them too.
           Happens: minijinja-js holds objects as sorted maps. Loops, items() and tojson give the fields by the alphabet, the
           template's own {...} as well: the name stands behind the description and the parameters, query behind limit. Its tojson
           also writes < as an escape and no spaces. @huggingface/jinja gives what Python gives.
           Hurt: who renders chat templates with it for speed or to have the template engine of other Rust programs: models that
           were trained on one order of a tool's fields see another in every request, and cached prefixes do not match.
output:
TEXT

cat > tool.json <<'JSON'
{
  "type": "function",
  "function": {
    "name": "search",
    "description": "Finds pages.",
    "parameters": {
      "type": "object",
      "properties": { "query": { "type": "string" }, "limit": { "type": "integer" } },
      "required": ["query"]
    }
  }
}
JSON
cat > templates.json <<'JSON'
[
  "{{ tool | tojson }}",
  "{% for name in tool.function.parameters.properties %}{{ name }} {% endfor %}",
  "{% for name, value in tool.function.items() %}{{ name }} {% endfor %}",
  "{{ {'name': 'search', 'arguments': '<b>'} | tojson }}"
]
JSON
cat > check.py <<'PYTHON'
import json
from jinja2 import Environment

environment = Environment()
environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False) # as transformers has it
tool = json.load(open("tool.json"))
print(json.dumps([environment.from_string(text).render(tool=tool) for text in json.load(open("templates.json"))]))
PYTHON
python/bin/python check.py > python.json
cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";
import { Environment } from "minijinja-js";

const read = (name) => JSON.parse(readFileSync(name, "utf8"));
const tool = read("tool.json");
const templates = read("templates.json");
const python = read("python.json");
const environment = new Environment();
environment.enablePyCompat(); // for the methods of Python that chat templates call
const mini = templates.map((text) => environment.renderStr(text, { tool }));
for (const [index, text] of templates.entries()) {
  console.log(`${text}\n  Python        ${python[index]}\n  minijinja-js  ${mini[index]}`);
  assert.equal(new Template(text).render({ tool }), python[index]);
}
assert.deepEqual(JSON.parse(mini[0]), tool);
assert.ok(mini[0].startsWith('{"function":{"description":"Finds pages.","name":"search","parameters":{"properties":{"limit"'));
assert.deepEqual(python.slice(1, 3), ["query limit ", "name description parameters "]);
assert.deepEqual(mini.slice(1, 3), ["limit query ", "description name parameters "]);
assert.deepEqual(python[3], '{"name": "search", "arguments": "<b>"}');
assert.deepEqual(mini[3], '{"arguments":"\\u003cb\\u003e","name":"search"}');
JAVASCRIPT
node check.mjs
