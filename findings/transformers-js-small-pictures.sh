#!/usr/bin/env bash
# transformers.js under Node makes pictures smaller by dropping pixels: fine stripes come out black.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline @huggingface/transformers@4.3.2

echo "version:   @huggingface/transformers 4.3.2"
cat <<'TEXT'
behaviour: Expected: RawImage.resize with the values that Pillow uses (2 bilinear, 3 bicubic) weighs all pixels that fall
           on a smaller one, as Pillow does; stripes of one pixel, black and white, become grey at half the size.
           Happens: each new pixel is read between its nearest old ones, the rest count for nothing: the stripes become
           black; at three quarters of the size they become bars that are not in the picture. Lanczos (1) averages.
           Hurt: image embeddings and vision models whose processors ask for bilinear or bicubic (nearly all):
           scans, text and textures reach the model aliased, so that vectors differ from those of the same picture in
           Python, the more the larger the photo.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { RawImage } from "@huggingface/transformers";

const stripes = (size) => {
  const data = new Uint8ClampedArray(size * size * 3);
  for (let i = 0; i < size * size; i++) data.fill(i % 2 === 0 ? 0 : 255, 3 * i, 3 * i + 3);
  return new RawImage(data, size, size, 3);
};
// The brightness of the middle row, without its ends.
const row = async (size, resample) => {
  const { data } = await stripes(size).resize(224, 224, { resample });
  return Array.from({ length: 200 }, (_, x) => data[3 * (224 * 112 + 12 + x)]);
};
const found = {};
for (const size of [448, 300]) {
  for (const [name, resample] of Object.entries({ bilinear: 2, bicubic: 3, lanczos: 1 })) {
    const values = await row(size, resample);
    found[`${name} ${size}`] = [Math.min(...values), Math.max(...values)];
    console.log(`${name}, ${size} to 224: ${values.slice(0, 8).join(" ")}, from ${Math.min(...values)} to ${Math.max(...values)}`);
  }
}
for (const name of ["bilinear", "bicubic"]) {
  assert.deepEqual(found[`${name} 448`], [0, 0]);
  assert.ok(found[`${name} 300`][0] < 40 && found[`${name} 300`][1] > 200);
}
assert.ok(found["lanczos 448"][0] > 100 && found["lanczos 448"][1] < 155);
JAVASCRIPT
node check.mjs
