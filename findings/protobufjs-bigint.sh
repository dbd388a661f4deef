#!/usr/bin/env bash
# protobufjs writes a BigInt for a 64-bit field as nothing at all.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  protobufjs@8.8.1

echo "version:   protobufjs 8.8.1"
cat <<'TEXT'
behaviour: Expected: a BigInt, in which ONNX Runtime holds every int64, is encoded like the number of the
           same value, or refused.
           Happens: `encode(create({...}))` leaves it out of the message without an error, so it is read
           back as the default; numbers, texts and `fromObject` work.
           Hurt: writers of ONNX and other model files that pass values on from BigInt64Array: sizes, axes
           and slice ends become zero.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import protobuf from "protobufjs";

const { root } = protobuf.parse('syntax = "proto3"; message Dimension { int64 size = 1; }');
const Dimension = root.lookupType("Dimension");
const found = {};
for (const [name, message] of [
  ["create, number 7", Dimension.create({ size: 7 })],
  ["create, BigInt 7", Dimension.create({ size: 7n })],
  ["fromObject, BigInt 7", Dimension.fromObject({ size: 7n })],
]) {
  found[name] = String(Dimension.decode(Dimension.encode(message).finish()).size);
  console.log(`${name}: read back as ${found[name]}`);
}
assert.deepEqual(found, { "create, number 7": "7", "create, BigInt 7": "0", "fromObject, BigInt 7": "7" });
JAVASCRIPT
node check.mjs
