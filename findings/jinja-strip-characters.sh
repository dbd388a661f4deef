#!/usr/bin/env bash
# Chat templates lose the indentation of code when JavaScript renders them.
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
behaviour: Expected: `text.lstrip('\n')` in a chat template removes line ends and keeps the spaces after
           them, as in Python, for which templates are written.
           Happens: the JavaScript library ignores the argument of strip, lstrip and rstrip and removes
           all white space (and no other character that is asked for), without an error.
           Hurt: templates of reasoning models that cut the thinking off with lstrip('\n'): a past answer
           that begins with indented code reaches the model without its indentation, so the prompt is not
           the one of training.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { Template } from "@huggingface/jinja";

const cases = [
  ["{{ text.split('</think>')[-1].lstrip('\\n') }}", "    return x"],
  ["{{ '  a  \\n'.rstrip('\\n') }}", "  a  "],
  ["{{ '<<x>>'.strip('<>') }}", "x"],
];
const text = "<think>Short.</think>\n\n    return x";
const program = "import jinja2, sys; print(jinja2.Template(sys.argv[1]).render(text=sys.argv[2]), end='')";
for (const [source, wanted] of cases) {
  const python = execFileSync("python/bin/python", ["-c", program, source, text], { encoding: "utf8" });
  const javascript = new Template(source).render({ text });
  console.log(`${source}: Python ${JSON.stringify(python)}, JavaScript ${JSON.stringify(javascript)}`);
  assert.equal(python, wanted);
  assert.notEqual(javascript, wanted);
}
JAVASCRIPT
node check.mjs
