#!/usr/bin/env bash
# The documented way to skip onnxruntime-node's download is one that npm is about to refuse.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  npm@11.19.1

echo "version:   npm 11.19.1"
cat <<'TEXT'
behaviour: Expected: `npm install onnxruntime-node --onnxruntime-node-install=skip`, as the package's
           README has it, or the same setting in .npmrc so that `npm ci` sees it, is accepted by npm.
           Happens: npm 11 warns of an unknown setting, from .npmrc in every command in the project, and
           says that it will stop working in the next major version. The environment variable that the
           install script reads as well, ONNXRUNTIME_NODE_INSTALL, gives no warning.
           Hurt: projects that install without access to the CUDA download: the warning stands in all
           logs, and installs will fetch or fail after an update of npm.
output:
TEXT

# The settings of who runs this are left aside.
npm() { node_modules/.bin/npm --userconfig="$folder/none" "$@" 2>&1 > /dev/null | grep 'onnxruntime-node-install' || true; }
flag=$(npm pkg get private --onnxruntime-node-install=skip)
variable=$(ONNXRUNTIME_NODE_INSTALL=skip npm pkg get private)
printf 'onnxruntime-node-install=skip\n' > .npmrc
setting=$(npm pkg get private)
printf '%s\n' "flag: $flag" ".npmrc: $setting" "environment variable: ${variable:-no warning}"
[[ $flag == *'Unknown cli config'* && $setting == *'Unknown project config'* && -z $variable ]]
