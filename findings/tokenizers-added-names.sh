#!/usr/bin/env bash
# tokenizers 0.23 writes an added name as the normalizer leaves it: NASA comes back as nasa.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile --target=0.22.2 \
  tokenizers==0.22.2 2> pip.log || { cat pip.log >&2; exit 1; }
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile --target=0.23.2 \
  tokenizers==0.23.2 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   tokenizers 0.22.2 and 0.23.2"
cat <<'TEXT'
behaviour: Expected: a token that add_tokens put into the vocabulary is decoded as it was added; id_to_token of the id that
           token_to_id gave is the token.
           Happens: with 0.23 both give the normalized form (in 0.22 the added one). An uncased model's NASA is nasa and
           Zürich zurich, a Chinese name has spaces around each character. token_to_id knows only the added form. Tokens
           that are special or added with normalized=False stay.
           Hurt: programs that look for a name, a tag or a tool call in decoded text, compare decoded labels, or go from ids
           to tokens and back: an update of the library changes the text under the same file.
output:
TEXT

cat > check.py <<'PYTHON'
import json
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

uncased = Tokenizer(models.WordLevel({"[UNK]": 0, "of": 1}, unk_token="[UNK]"))
uncased.normalizer = normalizers.BertNormalizer()
uncased.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
uncased.add_tokens(["NASA", "Zürich", "東京", AddedToken("ESA", normalized=False)])

names = ["NASA", "Zürich", "東京", "ESA"]
print(json.dumps({
    "names": [uncased.decode([uncased.token_to_id(name)]) for name in names],
    "tokens": [uncased.id_to_token(uncased.token_to_id(name)) for name in names],
    "text": uncased.decode(uncased.encode("of NASA").ids),
}, ensure_ascii=False))
PYTHON
for version in 0.22.2 0.23.2; do
  PYTHONIOENCODING=utf-8 PYTHONPATH="$version" python/bin/python check.py > "$version.json"
  echo "$version: $(cat "$version.json")"
done
cat > expected.py <<'PYTHON'
import json

old, new = (json.load(open(f"{version}.json", encoding="utf-8")) for version in ("0.22.2", "0.23.2"))
names = ["NASA", "Zürich", "東京", "ESA"]
assert old == {"names": names, "tokens": names, "text": "of NASA"}
changed = ["nasa", "zurich", " 東  京 ", "ESA"]
assert new["tokens"] == changed and [name.strip() for name in new["names"]] == [name.strip() for name in changed]
assert new["text"] == "of nasa"
PYTHON
python/bin/python expected.py
