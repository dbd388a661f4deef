#!/usr/bin/env bash
# sentence-transformers never puts a model's passage prompt before documents, though encode_document says that it does.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check --no-compile \
  sentence-transformers==6.0.1 transformers==5.17.0 torch==2.13.0 numpy==2.4.6 \
  2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   sentence-transformers 6.0.1, transformers 5.17.0, torch 2.13.0"
cat <<'TEXT'
behaviour: Expected: encode_document takes "the first available of document, passage, corpus" of the model's prompts, as its
           documentation says: of a model with prompts for query and passage, as the models after E5 have them, the one for
           passages, as encode_query takes the one for queries.
           Happens: every model gets an empty prompt named "document" when it is made or loaded, and that is the first one
           that is available. Documents are encoded without a prompt and without a warning, queries with theirs.
           Hurt: retrieval with models that name their prompts query and passage (or corpus): documents are encoded
           as the model never saw them in training, and nothing says so.
output:
TEXT

cat > check.py <<'PYTHON'
import numpy as np
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer, models, pre_tokenizers

words = ["query", "passage", "the", "king", "is", "dead", ":"]
tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, unk_token=":"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
weights = np.random.default_rng(1).standard_normal((len(words), 8)).astype(np.float32)
static = StaticEmbedding(tokenizer, embedding_weights=weights)
prompts = {"query": "query: ", "passage": "passage: "}
SentenceTransformer(modules=[static], prompts=prompts, device="cpu").save_pretrained("model")
model = SentenceTransformer("model", device="cpu")

text = "the king is dead"
equal = lambda left, right: bool(np.allclose(left, right, atol=1e-6))
plain, passage = model.encode(text), model.encode(text, prompt_name="passage")
document, query = model.encode_document(text), model.encode_query(text)
said = '``"document"``, ``"passage"``, ``"corpus"`` (checked in that order)' in SentenceTransformer.encode_document.__doc__
print("the documentation names document, passage, corpus, in that order:", said)
print("prompts of the loaded model:", model.prompts)
print("encode_query is encode with the prompt query:", equal(query, model.encode(text, prompt_name="query")))
print("encode_document is encode with the prompt passage:", equal(document, passage))
print("encode_document is encode without a prompt:", equal(document, plain))
print(f"cosine of encode_document with the passage prompt's vector: {document @ passage / np.linalg.norm(document) / np.linalg.norm(passage):.3f}")
assert said and equal(query, model.encode(text, prompt_name="query")) and not equal(query, plain)
assert equal(document, plain) and not equal(document, passage)
PYTHON
python/bin/python check.py 2> errors.log || { cat errors.log >&2; exit 1; }
