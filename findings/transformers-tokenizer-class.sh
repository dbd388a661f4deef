#!/usr/bin/env bash
# transformers 5 replaces parts of a tokenizer.json by those that the class name stands for.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  transformers==5.17.0 tokenizers==0.23.2 huggingface_hub==1.33.0 numpy==2.4.6 packaging==26.3 \
  PyYAML==6.0.3 regex==2026.9.29 safetensors==0.8.0 tqdm==4.70.1 filelock==4.0.8 fsspec==2026.6.0 \
  httpx==0.28.1 httpcore==1.0.9 h11==0.16.0 idna==3.20 certifi==2026.7.22 anyio==4.15.1 \
  typing_extensions==4.16.0 typer==0.27.2 click==8.5.0 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   transformers 5.17.0, tokenizers 0.23.2"
cat <<'TEXT'
behaviour: Expected: AutoTokenizer gives the token ids of the tokenizer.json that lies in the folder.
           Happens: with `tokenizer_class` LlamaTokenizer, GPT2Tokenizer or BertTokenizer in
           tokenizer_config.json the pre-tokenizer of the file is replaced by the class's own, silently;
           PreTrainedTokenizerFast keeps it.
           Hurt: authors of models whose tokenizer is not quite the class that the configuration names:
           other ids than in training, and than in readers that follow the file.
output:
TEXT

cat > check.py <<'PYTHON'
import json, logging, os, tempfile
logging.disable(logging.CRITICAL)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

words = ["<unk>", "<s>", "</s>", *"abcdefghijklmnopqrstuvwxyz", "\u2581", "\u0120", " ", "th", "the"]
model = models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[("t", "h"), ("th", "e")], unk_token="<unk>")
own = Tokenizer(model)
own.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
ids = own.encode("the cat").ids
print("tokenizer.json itself:", ids)
same = {}
for name in ["PreTrainedTokenizerFast", "LlamaTokenizer", "GPT2Tokenizer", "BertTokenizer"]:
    with tempfile.TemporaryDirectory() as folder:
        own.save(os.path.join(folder, "tokenizer.json"))
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
            json.dump({"tokenizer_class": name, "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}, file)
        read = AutoTokenizer.from_pretrained(folder)("the cat", add_special_tokens=False).input_ids
    print(f"as {name}:", read)
    same[name] = read == ids
assert same == {"PreTrainedTokenizerFast": True, "LlamaTokenizer": False, "GPT2Tokenizer": False, "BertTokenizer": False}
PYTHON
HF_HUB_OFFLINE=1 python/bin/python check.py
