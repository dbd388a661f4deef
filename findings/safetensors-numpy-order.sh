#!/usr/bin/env bash
# safetensors stores transposed NumPy arrays with their numbers in the wrong places.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv python
python/bin/pip install --quiet --no-deps --disable-pip-version-check --no-compile \
  safetensors==0.8.0 numpy==2.4.6 2> pip.log || { cat pip.log >&2; exit 1; }

echo "version:   safetensors 0.8.0, numpy 2.4.6"
cat <<'TEXT'
behaviour: Expected: `save` writes the array that it is given, or refuses one that is not contiguous.
           Happens: for a transposed, Fortran-ordered or strided array the memory is written as it lies,
           under the array's shape: other values come back, without an error.
           Hurt: converters that transpose a weight before saving it (the usual step between frameworks):
           the file has the right shapes and a broken model. `numpy.ascontiguousarray` first helps.
output:
TEXT

cat > check.py <<'PYTHON'
import numpy
from safetensors.numpy import load, save

square = numpy.arange(6, dtype=numpy.float32).reshape(2, 3)
found = {}
for name, array in {"plain": square, "transposed": square.T, "Fortran order": numpy.asfortranarray(square), "every second column": square[:, ::2]}.items():
    back = load(save({"w": array}))["w"]
    found[name] = bool((back == array).all())
    print(f"{name}: saved {array.tolist()}, loaded {back.tolist()}")
    assert back.shape == array.shape
assert found == {"plain": True, "transposed": False, "Fortran order": False, "every second column": False}
PYTHON
python/bin/python check.py
