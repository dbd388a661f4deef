/** Tools about tokenizers and vocabularies: each calls the library. */
import { inspectVocabularies } from "jeton/evaluate";
import { splitWords } from "jeton/model";
import { type Tokenizer, trainLibTokenizer, trainTokenizer } from "jeton/tokenizer";
import { mergeBatch, readTokenForms, textOfForm, translateTokens } from "jeton/vocabulary";
import { bundledTokenizer } from "./bundled-tokenizers.ts";
import type { ToolName, Tools } from "./tool-types.ts";

/** A tool: from its input to its output. `base` is the address of the page's folder. */
export type Tool<Name extends ToolName> = (
  input: Tools[Name][0],
  base: string,
) => Promise<Tools[Name][1]> | Tools[Name][1];

/**
 * The text's pieces: what each token adds to those before it. Of tokens that share a place (bytes of one
 * character, the mark of a word's beginning) only the last has its text.
 */
function piecesOf(tokenizer: Tokenizer, text: string): string[] {
  const { offsets } = tokenizer.encode(text, { addSpecialTokens: false, applyLimits: false });
  return offsets.map(([start, end], at) => {
    const next = offsets[at + 1]?.[0] ?? end;
    return text.slice(start, Math.min(end, Math.max(start, next)));
  });
}

/** The four kinds that are learned from the corpus, and the bundled one. */
export const compareTokenizers: Tool<"compareTokenizers"> = async (input, base) => {
  const { corpus, vocabSize, text } = input;
  const texts = [corpus];
  const lib = await trainLibTokenizer({ texts, vocabSize, steps: 60 });
  const learned: [string, Tokenizer][] = [
    ["LiB", lib.tokenizer],
    [
      "BPE within words",
      (await trainTokenizer({ kind: "byte-level-bpe", texts, vocabSize })).tokenizer,
    ],
    [
      "Unigram within words",
      (await trainTokenizer({ kind: "unigram", texts, vocabSize })).tokenizer,
    ],
    ["jeton-nano's BPE", await bundledTokenizer(base)],
  ];
  return learned.map(([name, tokenizer]) => ({
    name,
    types: tokenizer.vocabSize,
    pieces: piecesOf(tokenizer, text),
  }));
};

/** Merges neighbours of a batch, which starts from the bundled model's tokens. */
export const mergeTokens: Tool<"mergeTokens"> = async ({ texts, merges }, base) => {
  const tokenizer = await bundledTokenizer(base);
  const { forms } = readTokenForms(tokenizer);
  const batch = texts.map((text) =>
    Array.from(
      tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false }),
      (id) => forms[id] ?? id,
    ),
  );
  const written = (sequences: readonly (readonly (string | number)[])[]): string[][] =>
    sequences.map((sequence) => sequence.map((form) => writeForm(String(form))));
  const merged = mergeBatch(batch, { merges });
  return {
    before: written(batch),
    after: written(merged.sequences),
    merges: merged.merges.map((pair, at) => ({
      text: writeForm(pair.join("")),
      saved: merged.saved[at]!,
    })),
    possible: mergeBatch(batch).merges.length,
  };
};

/** A byte form of a token as text; one that holds a part of a character stays as it is. */
export function writeForm(form: string): string {
  return textOfForm(form) ?? form;
}

/** Which of the model's tokens each token of another language translates, learned from parallel lines. */
export const translateVocabulary: Tool<"translateTokens"> = async (input, base) => {
  const lines = (text: string): string[] => text.split("\n").map((line) => line.trim());
  const [sources, targets] = [lines(input.source), lines(input.target)];
  const pairs = sources.flatMap((source, at) => {
    const target = targets[at];
    return source === "" || !target ? [] : [{ source, target }];
  });
  const source = readTokenForms(await bundledTokenizer(base));
  const { tokenizer } = await trainTokenizer({
    kind: "byte-level-bpe",
    texts: pairs.map(({ target }) => target),
    vocabSize: input.vocabSize,
  });
  const target = readTokenForms(tokenizer);
  const { mixture, mapped } = translateTokens(source, target, {
    pairs,
    directions: "both",
    // So few sentences hold most pairs of words once.
    minCount: 1,
  });
  return mixture.flatMap((parts, id) => {
    const form = target.forms[id];
    // Single bytes are in every vocabulary.
    if (!parts || form === undefined || form.length < 2) return [];
    const weighted = parts.sources.map((from, at) => ({
      token: writeForm(source.forms[from] ?? ""),
      weight: parts.weights[at]!,
    }));
    return [
      {
        token: writeForm(form),
        sources: weighted.sort((a, b) => b.weight - a.weight).slice(0, 4),
        mapped: mapped.has(id),
      },
    ];
  });
};

/** A text as words and bytes, as models over words read it. */
export const splitText: Tool<"splitWords"> = async ({ text, rule }, base) => {
  const bytes = new TextEncoder().encode(text);
  const ends = splitWords(bytes, { rule: rule === "four-bytes" ? { fixed: 4 } : rule });
  const decoder = new TextDecoder();
  let start = 0;
  const words = Array.from(ends, (end) => {
    const word = { text: decoder.decode(bytes.subarray(start, end)), bytes: end - start };
    start = end;
    return word;
  });
  const tokenizer = await bundledTokenizer(base);
  const ids = tokenizer.encodeIds(text, { addSpecialTokens: false, applyLimits: false });
  return { words, bytes: bytes.length, tokens: ids.length };
};

/** What two vocabularies are made of: the bundled one, and one that is learned from the text. */
export const inspectVocabulary: Tool<"inspectVocabulary"> = async ({ text, vocabSize }, base) => {
  const learned = await trainTokenizer({ kind: "byte-level-bpe", texts: [text], vocabSize });
  const sentences = text.split(/\n+/).filter((line) => line.trim() !== "");
  const { vocabularies } = inspectVocabularies(
    [
      { name: "jeton-nano's", tokenizer: await bundledTokenizer(base) },
      { name: "learned from the text", tokenizer: learned.tokenizer },
    ],
    { texts: [{ language: "en", sentences }] },
  );
  return vocabularies.map(({ name, size, categories, text: [measures] }) => ({
    name,
    size,
    categories,
    fertility: measures!.fertility,
    bytesPerToken: measures!.bytesPerToken,
    continuedWords: measures!.continuedWords,
  }));
};
