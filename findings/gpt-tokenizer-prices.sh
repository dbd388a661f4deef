#!/usr/bin/env bash
# gpt-tokenizer estimates GPT-4o, GPT-4.1 and GPT-5 at one price, four to eight times what is charged.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
printf '{"private": true, "type": "module"}\n' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --prefer-offline \
  gpt-tokenizer@4.0.0 @pydantic/genai-prices@0.1.8

echo "version:   gpt-tokenizer 4.0.0, @pydantic/genai-prices 0.1.8"
cat <<'TEXT'
behaviour: Expected: estimateCost of the module of a model gives what this number of tokens costs with that model; for
           GPT-4 Turbo it does. OpenAI's list prices for a million input tokens, which the other package has too, are 2.50
           dollars for GPT-4o, 2.00 for GPT-4.1 and o3, 1.25 for GPT-5.
           Happens: GPT-4o, GPT-4.1 and GPT-5 all cost 10 dollars in and 30 out, the price of GPT-4 Turbo; o3 costs 15.
           GPT-5-Codex, which is listed like GPT-5, is right. For GPT-4o mini and GPT-4.1 mini there is an error.
           Hurt: programs that choose a model, show a price or stop at a budget by these estimates: GPT-5 seems eight
           times as dear as it is and o3 dearer still, and a budget ends after a quarter of its money or less.
output:
TEXT

cat > check.mjs <<'JAVASCRIPT'
import assert from "node:assert/strict";
import { calcPrice } from "@pydantic/genai-prices";

const million = 1_000_000;
const factors = {};
for (const model of ["gpt-4-turbo", "gpt-5-codex", "gpt-5", "gpt-4o", "gpt-4.1", "o3"]) {
  const { estimateCost } = await import(`gpt-tokenizer/model/${model}`);
  const { input, output } = estimateCost(million).main;
  const listed = calcPrice({ input_tokens: million, output_tokens: million }, model, { providerId: "openai" });
  factors[model] = input / listed.input_price;
  console.log(`${model}: estimated ${input} in, ${output} out; listed ${listed.input_price} in, ${listed.output_price} out (dollars a million tokens)`);
}
assert.equal(factors["gpt-4-turbo"], 1);
assert.equal(factors["gpt-5-codex"], 1);
assert.equal(factors["gpt-4o"], 4);
assert.equal(factors["gpt-4.1"], 5);
assert.equal(factors["gpt-5"], 8);
assert.ok(factors.o3 > 7);
JAVASCRIPT
node check.mjs
