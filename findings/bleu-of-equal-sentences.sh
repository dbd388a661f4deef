#!/usr/bin/env bash
# A translation equal to its reference scores next to nothing when it has three words.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  nltk==3.10.3 sacrebleu==2.6.0 click==8.5.0 joblib==1.6.0 regex==2026.9.29 tqdm==4.70.1 \
  defusedxml==0.7.1 portalocker==4.4.0 tabulate==0.10.0 numpy==2.4.6 colorama==0.4.6 lxml==6.1.3 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   nltk 3.10.3, sacrebleu 2.6.0"
cat <<'TEXT'
behaviour: Expected: BLEU of a sentence and itself is 1 (100 %), whatever its length.
           Happens: without four words there is no 4-gram: NLTK gives 1e-77 with a warning, sacrebleu 100
           for the sentence and 0 for the corpus of that one sentence.
           Hurt: evaluations of short texts (titles, terms, dialogue turns): perfect outputs count as
           failures, and two libraries disagree by 100 points.
output:
TEXT

cat > check.py <<'PYTHON'
import warnings
warnings.simplefilter("ignore")
from nltk.translate.bleu_score import sentence_bleu
import sacrebleu

text = "the cat sat"
nltk = sentence_bleu([text.split()], text.split())
sentence = sacrebleu.sentence_bleu(text, [text]).score
corpus = sacrebleu.corpus_bleu([text], [[text]]).score
print(f"{text!r} against itself: NLTK {nltk:.2g} of 1; sacrebleu sentence {sentence:.0f}, corpus {corpus:.0f} of 100")
assert nltk < 1e-50 and round(sentence) == 100 and corpus == 0
PYTHON
python/bin/python check.py
