#!/usr/bin/env bash
# A Jinja prompt with messages[-1], `for ... if` or an empty list becomes another prompt in Nunjucks, without an error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline nunjucks@3.2.4
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  jinja2==3.1.6 markupsafe==3.0.3 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   nunjucks 3.2.4, Jinja2 3.1.6"
cat <<'TEXT'
behaviour: Expected: Nunjucks describes itself as a powerful templating engine inspired by Jinja2, and evaluation tools render
           prompts with it: a template gives the prompt that Python gives, or an error.
           Happens: an index from the end is undefined and so the last message is empty; a condition in a for loop removes
           all items; selectattr ignores its test and keeps all; an empty list counts as true, so the part for "tools were
           given" is written. Missing values print as nothing, so no error tells.
           Hurt: prompts shared between Python and JavaScript: evaluations run on a prompt without the
           question or the documents, and the scores are taken for the model's.
output:
TEXT

cat > templates.json <<'JSON'
[
  ["last message", "Q: {{ messages[-1].content }}"],
  ["loop with a condition", "{% for m in messages if m.role == 'user' %}[{{ m.content }}]{% endfor %}"],
  ["selected items", "{% for m in messages | selectattr('role', 'equalto', 'user') %}[{{ m.content }}]{% endfor %}"],
  ["no tools", "{% if tools %}You have tools.{% else %}No tools.{% endif %}"],
  ["no options", "{% if options %}Use these options.{% else %}No options.{% endif %}"]
]
JSON
cat > render.py <<'PYTHON'
import json
import jinja2

values = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}], "tools": [], "options": {}}
json.dump(values, open("values.json", "w"))
print(json.dumps([jinja2.Template(template).render(values) for _, template in json.load(open("templates.json"))]))
PYTHON
python/bin/python render.py > expected.json

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import nunjucks from "nunjucks";

const read = (name) => JSON.parse(readFileSync(name, "utf8"));
const expected = read("expected.json");
const environment = new nunjucks.Environment(null, { autoescape: false });
read("templates.json").forEach(([name, template], place) => {
  const rendered = environment.renderString(template, read("values.json"));
  console.log(`${name}: Python ${JSON.stringify(expected[place])}, Nunjucks ${JSON.stringify(rendered)}`);
  assert.notEqual(rendered, expected[place]);
});
assert.deepEqual(expected, ["Q: Why?", "[Why?]", "[Why?]", "No tools.", "No options."]);
JAVASCRIPT
node check.mjs
