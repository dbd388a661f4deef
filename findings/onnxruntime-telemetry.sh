#!/usr/bin/env bash
# ONNX Runtime for Node leaves an identifier and an event store on the disk of who runs a model.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  onnxruntime-node@1.30.0 \
  onnx-proto@8.0.1

echo "version:   onnxruntime-node 1.30.0"
cat <<'TEXT'
behaviour: Expected: running a local model touches no file outside the program's own.
           Happens: on Linux the first session writes a device identifier and an event database below the
           home folder's cache and a log for each process into the temporary folder;
           ORT_DISABLE_TELEMETRY=1 in the environment before the library is loaded stops it.
           Hurt: everybody who runs models with private data, in containers with a read-only home, or many
           short processes (one more log for each).
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import onnxProto from "onnx-proto";
import ort from "onnxruntime-node";

// A model of one graph: nodes, then inputs and outputs as [name, element type, dimensions], then constants.
const { onnx } = onnxProto;
const typed = ([name, elemType, dimensions]) => {
  const dim = dimensions.map((size) => (typeof size === "string" ? { dimParam: size } : { dimValue: size }));
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
};
const encodeModel = (node, inputs, outputs, initializer = [], opset = 21) =>
  onnx.ModelProto.encode(
    onnx.ModelProto.fromObject({
      irVersion: 10,
      opsetImport: [{ domain: "", version: opset }, { domain: "com.microsoft", version: 1 }],
      graph: { name: "g", node, input: inputs.map(typed), output: outputs.map(typed), initializer },
    }),
  ).finish();

const bytes = encodeModel([{ opType: "Neg", input: ["x"], output: ["y"] }], [["x", 1, [1]]], [["y", 1, [1]]]);
const session = await ort.InferenceSession.create(bytes);
await session.run({ x: new ort.Tensor("float32", [1], [1]) });
JAVASCRIPT
for choice in unset 1; do
  mkdir -p "$choice/home" "$choice/tmp"
  ( [ "$choice" = unset ] && unset ORT_DISABLE_TELEMETRY || export ORT_DISABLE_TELEMETRY=1
    HOME="$folder/$choice/home" XDG_CACHE_HOME= TMPDIR="$folder/$choice/tmp" node check.mjs )
  echo "ORT_DISABLE_TELEMETRY $choice:"
  ( cd "$choice" && find . -type f | sed -E 's/[0-9]+\.log/PID.log/' | sort ) | sed 's/^/  /' | tee "$choice.txt"
done
grep -q deviceid unset.txt
grep -q 'mat-debug-PID.log' unset.txt
[ ! -s 1.txt ]
