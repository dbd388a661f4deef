/** How models of symbols read a text whose letters are renamed: calls the library. */
import { locateWasm } from "jeton/browser";
import { createRandom, JetonError } from "jeton/core";
import {
  countedLosses,
  nextSymbols,
  openSymbolModel,
  readSymbolModel,
  type SymbolModel,
} from "jeton/model";
import { fetchPart } from "./bundled-model.ts";
import { openOnce } from "./open-once.ts";
import type { Tools } from "./tool-types.ts";

/** The two models, by the address of the page. */
const bundledModels = openOnce(async (base: string) => {
  locateWasm(new URL("onnxruntime/", base).href);
  const fetchFile = (name: string): Promise<Uint8Array> =>
    fetchPart(base, `models/jeton-lexinvariant/${name}`);
  const config: unknown = JSON.parse(new TextDecoder().decode(await fetchFile("config.json")));
  const open = async (name: string): Promise<{ model: SymbolModel; symbols: string }> => {
    const weights = await fetchFile(name);
    const { symbols, ...read } = readSymbolModel({ config, weights });
    return { model: await openSymbolModel({ ...read, threads: 1, inline: true }), symbols };
  };
  const free = await open("model.safetensors");
  const { model: ordinary } = await open("ordinary.safetensors");
  return { free: free.model, ordinary, symbols: free.symbols };
});

/** Reads a text with its letters renamed by chance, and as it is. */
export async function readRenamed(
  { text, seed }: Tools["readRenamed"][0],
  base: string,
): Promise<Tools["readRenamed"][1]> {
  const { free, ordinary, symbols } = await bundledModels(base);
  const folded = text
    .toLowerCase()
    .replace(/[^a-z]+/g, " ")
    .trim()
    .slice(0, free.config.contextLength + 1);
  if (folded.length < 2) {
    throw new JetonError("the text has fewer than two letters, expected some words", {
      code: "tool-input",
    });
  }
  const ids = Int32Array.from(folded, (letter) => symbols.indexOf(letter));
  const names = createRandom(seed, "alphabet").shuffle([...symbols].map((_, id) => id));
  const renamed = ids.map((id) => names[id]!);
  const bitsOf = async (model: SymbolModel, own: Int32Array): Promise<number[]> => {
    const { read, targets } = nextSymbols({ batch: 1, time: own.length, ids: own });
    const { logProbabilities } = await model.read(read, createRandom(seed, "vectors"));
    return Array.from(
      targets,
      (target, at) => -logProbabilities[at * symbols.length + target]! / Math.LN2,
    );
  };
  const [counted] = countedLosses(
    { batch: 1, time: ids.length, ids },
    symbols.length,
    "bigrams",
  ) as [Float64Array];
  return {
    text: folded,
    renamed: Array.from(renamed, (id) => symbols[id]!).join(""),
    readers: [
      { name: "lexinvariant", bits: await bitsOf(free, renamed) },
      { name: "ordinary, renamed", bits: await bitsOf(ordinary, renamed) },
      { name: "ordinary, own letters", bits: await bitsOf(ordinary, ids) },
      { name: "counting", bits: Array.from(counted, (nats) => nats / Math.LN2) },
    ],
  };
}
