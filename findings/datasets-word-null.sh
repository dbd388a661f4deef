#!/usr/bin/env bash
# Loading a word list as CSV turns the words null, nan and NA into nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  datasets==5.0.1 pandas==3.0.6 pyarrow==25.0.1 numpy==2.4.6 dill==0.4.1 multiprocess==0.70.19 \
  xxhash==4.0.1 requests==2.34.2 urllib3==2.8.0 charset-normalizer==3.5.2 \
  python-dateutil==2.9.0.post0 six==1.17.0 huggingface_hub==1.33.0 packaging==26.3 PyYAML==6.0.3 \
  tqdm==4.70.1 filelock==4.0.8 fsspec==2026.6.0 httpx==0.28.1 httpcore==1.0.9 h11==0.16.0 idna==3.20 \
  certifi==2026.7.22 anyio==4.15.1 typing_extensions==4.16.0 typer==0.27.2 click==8.5.0 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   datasets 5.0.1"
cat <<'TEXT'
behaviour: Expected: a column of words is read as the words in the file.
           Happens: `load_dataset('csv')` reads null, NA, nan, None and others as missing values;
           `keep_default_na=False` keeps them.
           Hurt: glossaries, vocabularies, frequency lists and labels: the word is None, and a tokenizer
           or a join fails or drops the row much later.
output:
TEXT

cat > check.py <<'PYTHON'
import os, tempfile
os.environ["HF_HOME"] = os.getcwd()
import datasets
datasets.disable_progress_bars()

words = ["null", "NA", "nan", "None", "cat"]
with open("words.csv", "w") as file:
    file.write("\n".join(["word", *words]) + "\n")
found = {}
for options in [{}, {"keep_default_na": False}]:
    rows = datasets.load_dataset("csv", data_files="words.csv", split="train", **options)
    found[str(options)] = list(rows["word"])
    print(f"{words} with {options}: {found[str(options)]}")
assert list(found.values()) == [[None, None, None, None, "cat"], words]
PYTHON
HF_HUB_OFFLINE=1 python/bin/python check.py
