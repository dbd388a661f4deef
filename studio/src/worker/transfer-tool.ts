/** The bundled decoder under a tokenizer that it has never met, by several methods: calls the library. */
import { score } from "jeton/browser";
import { openStored } from "jeton/model";
import { type Tokenizer, trainTokenizer } from "jeton/tokenizer";
import {
  type Hypernetwork,
  lexicalOverlap,
  meanOfSubtokens,
  nearestRows,
  predictTables,
  readHypernetwork,
  readSource,
  readTokenForms,
  type SourceModel,
  scoreWithTables,
  spellTokens,
  type TokenForms,
  type TransferMethod,
  type VocabularyTables,
  zett,
} from "jeton/vocabulary";
import { bundledModel, fetchPart } from "./bundled-model.ts";
import { openOnce } from "./open-once.ts";
import { writeForm } from "./tokenizer-tools.ts";
import type { NewToken, Tools } from "./tool-types.ts";

/** New tokens that are looked at, and their neighbours. */
const [shown, neighbours] = [10, 4];

const bundledSource: (base: string) => Promise<SourceModel> = openOnce(async (base) => {
  const model = await bundledModel(base);
  return readSource(await openStored(model), model.tokenizer);
});

interface Hypernetworks {
  readonly rows: Hypernetwork;
  readonly corrections: Hypernetwork;
}

const bundledHypernetworks: (base: string) => Promise<Hypernetworks> = openOnce(async (base) => {
  const read = async (name: string): Promise<Hypernetwork> =>
    readHypernetwork(await fetchPart(base, `models/jeton-hypernetwork/${name}.safetensors`));
  const [rows, corrections] = await Promise.all([read("rows"), read("corrections")]);
  return { rows, corrections };
});

/** Learns a tokenizer, predicts the rows of its tokens, and reads a text in them. */
export async function transferVocabulary(
  { corpus, kind, vocabSize, text }: Tools["transferVocabulary"][0],
  base: string,
): Promise<Tools["transferVocabulary"][1]> {
  if (text.trim() === "") throw new Error("There is no text to read.");
  const { tokenizer } = await trainTokenizer({
    ...{ kind, vocabSize, texts: [corpus] },
    specialTokens: [...(kind === "unigram" ? ["<unk>"] : []), "<s>", "</s>"],
    ...{ bosToken: "<s>", eosToken: "</s>" },
  });
  const ids = encode(tokenizer, text);
  const [model, source, hypernetworks] = await Promise.all([
    bundledModel(base),
    bundledSource(base),
    bundledHypernetworks(base),
  ]);
  const target = readTokenForms(tokenizer);
  const how = { inline: true, threads: 1 };
  const methods: readonly (readonly [name: string, method: TransferMethod])[] = [
    ["hypernetwork, as published", zett(hypernetworks.rows, how)],
    ["hypernetwork that corrects means", zett(hypernetworks.corrections, how)],
    ["mean of the sub-tokens", meanOfSubtokens()],
    ["shared tokens, the rest random", lexicalOverlap()],
  ];
  const own = await score(model, text);
  const readings: Tools["transferVocabulary"][1]["readings"][number][] = [
    { name: "its own tokens", tokens: own.scoredTokens, bitsPerByte: own.bitsPerByte },
  ];
  const predicted = new Map<string, VocabularyTables>();
  for (const [name, method] of methods) {
    const tables = await predictTables(source, target, method);
    predicted.set(name, tables);
    const scores = await scoreWithTables(model, tables, [tokenizer.bosTokenId!, ...ids]);
    const bits = scores.reduce((sum, value) => sum - value / Math.LN2, 0);
    readings.push({ name, tokens: ids.length, bitsPerByte: bits / own.bytes });
  }
  return {
    types: tokenizer.vocabSize,
    shared: [...target.ids.keys()].filter((form) => source.vocabulary.ids.has(form)).length,
    newTokens: describeNew(source, target, { ids, predicted }),
    readings,
  };
}

function encode(tokenizer: Tokenizer, text: string): number[] {
  return [...tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false })];
}

/** The most frequent tokens of a text that the model does not have, with what their rows are near to. */
function describeNew(
  { vocabulary, tables, config: { hiddenSize } }: SourceModel,
  { forms }: TokenForms,
  {
    ids,
    predicted,
  }: {
    readonly ids: readonly number[];
    readonly predicted: ReadonlyMap<string, VocabularyTables>;
  },
): NewToken[] {
  const counts = new Map<number, number>();
  for (const id of ids) {
    const form = forms[id];
    if (form === undefined || vocabulary.ids.has(form)) continue;
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const nameOf = (id: number): string => writeForm(vocabulary.forms[id] ?? `token ${id}`);
  return [...counts]
    .sort(([a, often], [b, oftener]) => oftener - often || forms[b]!.length - forms[a]!.length)
    .slice(0, shown)
    .map(([id]) => ({
      token: writeForm(forms[id]!),
      spelling: (spellTokens(vocabulary, [forms[id]])[0] ?? []).map(nameOf),
      nearest: Object.fromEntries(
        Array.from(predicted, ([name, { embedding }]) => {
          const row = embedding.subarray(id * hiddenSize, (id + 1) * hiddenSize);
          const near = nearestRows(row, tables.embedding, neighbours);
          return [name, near.map((one) => nameOf(one.id))];
        }),
      ),
    }));
}
