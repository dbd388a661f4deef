#!/usr/bin/env bash
# A chat template rendered with plain Jinja2 describes tools in other letters than transformers does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  jinja2==3.1.6 MarkupSafe==3.0.3 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   jinja2 3.1.6, MarkupSafe 3.0.3"
cat <<'TEXT'
behaviour: Expected: `tools | tojson` writes the tools as the application gave them.
           Happens: Jinja2's own filter is made for web pages: it sorts the keys and writes <, >, & and '
           as \u003c and the like. transformers replaces the filter; who uses Jinja2 as it is does not.
           Hurt: servers and scripts that render a model's template themselves: the tool descriptions
           differ from training, and cached prefixes from those of other servers.
output:
TEXT

cat > check.py <<'PYTHON'
import json
import jinja2

tool = {"name": "f", "description": "a < b & 'c'"}
plain = jinja2.Template("{{ tool | tojson }}").render(tool=tool)
wanted = json.dumps(tool, ensure_ascii=False)
print("given:", wanted)
print("plain:", plain)
assert plain.index("description") < plain.index("name") and "\\u003c" in plain and "\\u0027" in plain
assert json.loads(plain) == tool and plain != wanted
PYTHON
python/bin/python check.py
