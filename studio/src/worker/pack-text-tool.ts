/** A text read as a compressor's embeddings, beside the text itself and nothing: calls the library. */
import { complete, type LoadedModel } from "jeton/browser";
import {
  contextRows,
  keptPlaces,
  type OpenCompressor,
  openCompressor,
  type PackedContext,
  promptWithContext,
  type ReadBefore,
  scoreBehind,
} from "jeton/context";
import { bundledModel, fetchPart } from "./bundled-model.ts";
import { openOnce } from "./open-once.ts";
import type { PackedReading, Tools } from "./tool-types.ts";

/** Tokens that the model writes behind the question. */
const written = 12;

const bundledCompressor: (base: string) => Promise<OpenCompressor> = openOnce(async (base) => {
  const [model, file] = await Promise.all([
    bundledModel(base),
    fetchPart(base, "models/jeton-compressor/compressor.safetensors"),
  ]);
  return openCompressor(model, file, { inline: true });
});

/** Packs a text, and reads what follows behind nothing, behind the packed text and behind the text itself. */
export async function packText(
  { text, another, next, question, factor }: Tools["packText"][0],
  base: string,
): Promise<Tools["packText"][1]> {
  const model = await bundledModel(base);
  const compressor = await bundledCompressor(base);
  const encode = (of: string, addSpecialTokens = false): number[] => [
    ...model.tokenizer.encodeIds(of, { addSpecialTokens, applyLimits: false }),
  ];
  // What begins texts begins this one, and is all there is where nothing comes before.
  const begin = encode("", true);
  const [ids, nextIds, asked] = [encode(text, true), encode(next), encode(question)];
  if (ids.length === begin.length) throw new Error("There is no text to pack.");
  if (nextIds.length < 2) throw new Error("What follows the text needs two tokens or more.");
  if (asked.length === 0) throw new Error("There is nothing to continue.");
  // Behind the other text stand as many embeddings, or fewer where it is shorter.
  const [packed, other] = [
    await compressor.compress(ids),
    await compressor.compress(encode(another, true).slice(0, ids.length)),
  ];
  const read = { model, nextIds, asked };
  const readings = [
    await readBehind("nothing", read, { ids: begin }),
    await readPacked("the packed text", read, packed, factor),
    await readPacked("another text, packed", read, other, factor),
    await readBehind("the text itself", read, { ids }),
  ];
  const tokens = ids.length;
  const { window } = compressor.compressor.config;
  const ends = keptPlaces(tokens, { window, factor });
  return {
    tokens,
    scored: nextIds.length - 1,
    groups: ends.map((end, at) => {
      const start = at === 0 ? 0 : ends[at - 1]! + 1;
      return model.tokenizer.decode(ids.slice(Math.max(start, begin.length), end + 1));
    }),
    readings,
  };
}

/** What is read behind each of the texts. */
interface Read {
  readonly model: LoadedModel;
  readonly nextIds: readonly number[];
  readonly asked: readonly number[];
}

async function readPacked(
  name: string,
  read: Read,
  packed: PackedContext,
  factor: number,
): Promise<PackedReading> {
  const { model, asked } = read;
  const { embeddings } = contextRows(packed, factor);
  return readBehind(name, read, { embeddings }, async () => {
    const given = await promptWithContext(model, [packed], asked, { factor, maxTokens: written });
    const { promptEmbeddings } = given;
    return complete(model, given.prompt, { promptEmbeddings, greedy: true, maxTokens: written });
  });
}

async function readBehind(
  name: string,
  { model, nextIds, asked }: Read,
  before: ReadBefore,
  answer: () => Promise<{ readonly text: string }> = () =>
    complete(model, [...(before.ids ?? []), ...asked], { greedy: true, maxTokens: written }),
): Promise<PackedReading> {
  const rows = (before.embeddings?.length ?? 0) / model.config.hiddenSize;
  const positions = rows + (before.ids?.length ?? 0);
  const longest = Math.max(nextIds.length, asked.length + written);
  if (positions + longest > model.contextLength) return { name, positions };
  const scores = await scoreBehind(model, before, nextIds);
  const nats = scores.reduce((sum, value) => sum - value, 0);
  const { text } = await answer();
  return { name, positions, bits: nats / scores.length / Math.LN2, answer: text };
}
