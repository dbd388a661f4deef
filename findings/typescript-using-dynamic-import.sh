#!/usr/bin/env bash
# TypeScript's rewriting of import paths skips dynamic imports in functions that declare with `using`.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline typescript@6.0.3

echo "version:   typescript 6.0.3"
cat <<'TEXT'
behaviour: Expected: with rewriteRelativeImportExtensions every relative import of a .ts file names the .js file in the
           output, as the option's description says, whatever else its function declares.
           Happens: import("./part.ts") stays as it is in a function that also has an `await using` declaration, where
           the target is older than that syntax.
           Hurt: the type check, the tests and the sources run; the published package fails at the first call, since it
           holds no .ts files.
output:
TEXT

mkdir src
cat > src/part.ts <<'SOURCE'
export const value = 1;
SOURCE
cat > src/plain.ts <<'SOURCE'
export async function plain(): Promise<number> {
  const { value } = await import("./part.ts");
  return value;
}
SOURCE
cat > src/declares.ts <<'SOURCE'
export async function declares(resource: AsyncDisposable): Promise<number> {
  await using held = resource;
  const { value } = await import("./part.ts");
  return held ? value : 0;
}
SOURCE
cat > tsconfig.json <<'JSON'
{
  "compilerOptions": {
    "target": "es2022",
    "lib": ["es2022", "esnext.disposable"],
    "types": [],
    "module": "nodenext",
    "rewriteRelativeImportExtensions": true,
    "strict": true,
    "rootDir": "src",
    "outDir": "out"
  },
  "include": ["src"]
}
JSON
npx tsc -p tsconfig.json
for name in plain declares; do
  echo "$name.js: $(grep -o 'import("[^"]*")' "out/$name.js")"
done
test "$(grep -o 'import("[^"]*")' out/plain.js)" = 'import("./part.js")'
test "$(grep -o 'import("[^"]*")' out/declares.js)" = 'import("./part.ts")'
