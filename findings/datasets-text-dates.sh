#!/usr/bin/env bash
# Texts that look like dates are no longer texts after loading JSON lines.
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
behaviour: Expected: a JSON string is read as text.
           Happens: when all texts of a field look like dates, the field becomes a timestamp column and
           its values datetime objects; one other text in the file keeps all of them texts.
           Hurt: corpora of dates, logs and labels, and code that worked on one shard: the next shard has
           another type, and tokenizers refuse it or see another spelling.
output:
TEXT

cat > check.py <<'PYTHON'
import json, os
os.environ["HF_HOME"] = os.getcwd()
import datasets
datasets.disable_progress_bars()

found = []
for number, texts in enumerate([["2024-01-01", "2024-05-06"], ["2024-01-01", "soon"]]):
    with open(f"{number}.jsonl", "w") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    rows = datasets.load_dataset("json", data_files=f"{number}.jsonl", split="train")
    found.append(type(rows[0]["text"]).__name__)
    print(f"{texts}: the first is {rows[0]['text']!r}")
assert found == ["datetime", "str"]
PYTHON
HF_HUB_OFFLINE=1 python/bin/python check.py
