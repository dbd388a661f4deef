#!/usr/bin/env bash
# Kneser-Ney and the other interpolated models of NLTK give an unknown word no probability: perplexity is infinite.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  nltk==3.10.3 regex==2026.9.29 joblib==1.6.0 click==8.5.0 tqdm==4.70.1 defusedxml==0.7.1 \
  2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   nltk 3.10.3"
cat <<'TEXT'
behaviour: Expected: interpolated smoothing (Chen and Goodman, 1999) ends in the uniform distribution over the vocabulary, so
           that each of its words, the unknown word included, has some probability after every context, and these sum to 1.
           Happens: KneserNeyInterpolated, WittenBellInterpolated and AbsoluteDiscountingInterpolated end in the unigrams as
           they were counted. <UNK>, which the vocabulary always has, gets 0 and so does every text with a new word.
           Kneser-Ney trigrams also sum to more than 1 after the start of a sentence. Laplace has neither fault.
           Hurt: comparisons and filters by perplexity: almost any new text is infinite, a mean over texts too, and the models
           that should be best cannot be ranked at all; leaving infinite ones out ranks by what is easy.
output:
TEXT

cat > check.py <<'PYTHON'
from nltk.lm import (
    AbsoluteDiscountingInterpolated, KneserNeyInterpolated, Laplace, WittenBellInterpolated,
)
from nltk.lm.preprocessing import pad_both_ends, padded_everygram_pipeline
from nltk.util import ngrams

texts = ["the cat sat on the mat", "the dog sat on the log", "a cat saw the dog", "the mat was red"]
seen, unseen = "the cat saw the dog", "the cat saw the bird"
found = {}
for model_class in (Laplace, KneserNeyInterpolated, WittenBellInterpolated, AbsoluteDiscountingInterpolated):
    model = model_class(order=3)
    model.fit(*padded_everygram_pipeline(3, [text.split() for text in texts]))
    assert "<UNK>" in model.vocab
    perplexities = [
        round(model.perplexity(list(ngrams(pad_both_ends(text.split(), 3), 3))), 1) for text in (seen, unseen)
    ]
    total = sum(model.score(word, ["<s>", "<s>"]) for word in model.vocab)
    found[model_class.__name__] = (model.score("<UNK>", ["the"]), *perplexities, round(total, 3))
    print(f"{model_class.__name__}: probability of <UNK> {found[model_class.__name__][0]:.3f}, perplexity of "
          f"'{seen}' {perplexities[0]}, of '{unseen}' {perplexities[1]}, sum at the start {total:.3f}")
infinity = float("inf")
laplace = found.pop("Laplace")
assert 0 < laplace[0] and laplace[2] < 20 and laplace[3] == 1
for unknown, known, new, _ in found.values():
    assert unknown == 0 and known < 10 and new == infinity
assert found["KneserNeyInterpolated"][3] > 1
assert found["WittenBellInterpolated"][3] == 1
PYTHON
python/bin/python check.py
