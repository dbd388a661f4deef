/** What each demonstration must show, computed by the library here. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  contextRows,
  openCompressor,
  promptWithContext,
  type ReadBefore,
  scoreBehind,
} from "../../src/context/index.ts";
import {
  createBm25Ranker,
  createSentenceChunker,
  createVectorRanker,
  evaluateChunking,
  evaluateLocoTask,
  inspectVocabularies,
  type LocoTask,
  type Ranker,
  truncateDocuments,
} from "../../src/evaluate/index.ts";
import { complete, type LoadedModel, loadModel, score } from "../../src/index.ts";
import {
  embed,
  embedTokens,
  loadEncoder,
  splitWords,
  type TokenVectors,
} from "../../src/model/index.ts";
import { createIndex } from "../../src/retrieve/index.ts";
import { bundledModel } from "../../src/testing/test-data.ts";
import {
  inferMixture,
  loadTokenizer,
  readMergeList,
  saveTokenizer,
  trainLibTokenizer,
  trainTokenizer,
} from "../../src/tokenizer/index.ts";
import { sampleDuplexMasks } from "../../src/train/index.ts";
import {
  meanOfSubtokens,
  mergeBatch,
  readHypernetwork,
  readTokenForms,
  transfer,
  zett,
} from "../../src/vocabulary/index.ts";

/** A system whose page computes without a language model: what its text holds, given its fields' values. */
export interface ToolCheck {
  readonly slug: string;
  /** Texts that the demonstration's own text must hold. */
  expect(fields: readonly string[], model: LoadedModel): Promise<string[]>;
}

const joined = (pieces: readonly string[]): string => pieces.join("").replace(/\s+/g, " ").trim();

const bundledEncoder = join(dirname(bundledModel), "jeton-embed");

export const toolChecks: readonly ToolCheck[] = [
  {
    slug: "lib-tokenizer",
    async expect([corpus, text]) {
      const texts = [corpus!];
      const { tokenizer } = await trainLibTokenizer({ texts, vocabSize: 400, steps: 60 });
      const options = { kind: "unigram", texts, vocabSize: 400 } as const;
      const unigram = (await trainTokenizer(options)).tokenizer;
      const count = (of: typeof tokenizer): number =>
        of.encodeIds(text!, { addSpecialTokens: false }).length;
      return [
        `LiB\t${tokenizer.vocabSize}\t${count(tokenizer)}\t`,
        `Unigram within words\t${unigram.vocabSize}\t${count(unigram)}\t`,
      ];
    },
  },
  {
    slug: "data-mixture-inference",
    async expect([first, second]) {
      const size = (text: string): number => Buffer.byteLength(text);
      const whole = Math.max(size(first!), size(second!)) * 40;
      const times = [(0.7 * whole) / size(first!), (0.3 * whole) / size(second!)].map(Math.round);
      const texts = [
        ...Array<string>(times[0]!).fill(first!),
        ...Array<string>(times[1]!).fill(second!),
      ];
      const { json } = await trainTokenizer({ kind: "byte-level-bpe", texts, vocabSize: 316 });
      const samples = [
        { name: "first", texts: [first!] },
        { name: "second", texts: [second!] },
      ];
      const { shares } = await inferMixture(readMergeList(json), samples, { parts: 0 });
      const inferred = shares[0]!.share;
      if (Math.abs(inferred - 0.7) > 0.03) throw new Error(`inferred ${inferred}`);
      return [
        `inferred from the merges\t${(100 * inferred).toFixed(1)} %\t${(100 * (1 - inferred)).toFixed(1)} %`,
      ];
    },
  },
  {
    slug: "dynamic-tokenization",
    async expect([text], { tokenizer }) {
      const { forms } = readTokenForms(tokenizer);
      const batch = text!
        .split("\n")
        .map((line) =>
          Array.from(tokenizer.encodeIds(line, { addSpecialTokens: false }), (id) => forms[id]!),
        );
      const count = (all: readonly (readonly unknown[])[]): number =>
        all.reduce((sum, sequence) => sum + sequence.length, 0);
      const after = count(mergeBatch(batch, { merges: 8 }).sequences);
      return [`${count(batch)} tokens of jeton-nano become ${after};`];
    },
  },
  {
    slug: "trans-tokenization",
    // Words that translate each other alone are made of each other alone.
    async expect([source, target]) {
      const pairs = [
        ["house", "haus"],
        ["small", "klein"],
      ] as const;
      for (const [own, other] of pairs) {
        if (!source!.includes(own) || !target!.includes(other)) throw new Error("another text");
      }
      // A letter beyond ASCII is a letter, not its bytes.
      return [...pairs.map(([own, other]) => `␣${other}\t␣${own} 100 %`), "wärter"];
    },
  },
  {
    slug: "hierarchical-transformer",
    async expect([text], { tokenizer }) {
      const words = splitWords(text!).length;
      const tokens = tokenizer.encodeIds(text!, { addSpecialTokens: false }).length;
      const bytes = Buffer.byteLength(text!);
      return [`${bytes} bytes in ${words} words`, `jeton-nano's tokenizer takes ${tokens}.`];
    },
  },
  {
    slug: "qtok",
    async expect([text], { tokenizer }) {
      const sentences = text!.split("\n");
      const { vocabularies } = inspectVocabularies([{ name: "nano", tokenizer }], {
        texts: [{ language: "en", sentences }],
      });
      const { categories, text: measures } = vocabularies[0]!;
      return [
        `spaced word\t${categories["spaced word"]}\t`,
        `tokens a word\t${measures[0]!.fertility.toFixed(2)}\t`,
      ];
    },
  },
  {
    slug: "rag-token-metrics",
    async expect([text, question, answer]) {
      const start = text!.indexOf(answer!);
      const reference = { corpus: "text", start, end: start + answer!.length, content: answer! };
      const { questions } = await evaluateChunking({
        corpora: new Map([["text", text!]]),
        questions: [{ question: question!, corpus: "text", references: [reference] }],
        chunker: createSentenceChunker({ size: 3 }),
        k: 1,
      });
      const { recall, precision, iou } = questions[0]!;
      return [`3 sentences`, [recall, precision, iou].map((value) => value.toFixed(3)).join("\t")];
    },
  },
  {
    slug: "coir",
    async expect([query, snippets]) {
      const documents = snippets!
        .split("\n---\n")
        .map((found, at) => ({ id: String(at), text: found.trim() }));
      const ranker = createBm25Ranker("split", { analyzer: { words: "code" } });
      const [best] = (await ranker.index(documents))({ id: "q", text: query! }, 1) as {
        id: string;
        score: number;
      }[];
      return [documents[Number(best!.id)]!.text.slice(0, 40), best!.score.toFixed(2)];
    },
  },
  {
    slug: "xtr",
    async expect([query, text]) {
      await using encoder = await loadEncoder(bundledEncoder, {
        inline: true,
        threads: 1,
        format: "f32",
      });
      /** Vectors of the tokens that stand in a text. */
      const vectorsOf = async (of: string) => {
        const [{ vectors, width, spans }] = (await embedTokens(encoder, [of])) as [TokenVectors];
        const own = [...spans.keys()].filter((at) => spans[at]![1] > spans[at]![0]);
        const rows = own.flatMap((at) => [...vectors.subarray(at * width, (at + 1) * width)]);
        return { dim: width, vectors: Float32Array.from(rows) };
      };
      await using index = createIndex();
      for (const line of text!.split("\n")) {
        await index.put([{ id: line, text: line, tokens: await vectorsOf(line) }]);
      }
      const tokens = await vectorsOf(query!);
      const [best] = await index.search({ tokens, tokenSearch: { candidates: 24 }, k: 1 });
      return [`What each token of the query found in “${best!.text}”`, best!.score.toFixed(3)];
    },
  },
  {
    slug: "m2-bert-loco",
    async expect([documents, questions]) {
      const asked = questions!.split("\n").map((line) => line.split(": ") as [string, string]);
      const task: LocoTask = {
        name: "own",
        documents: documents!.split("\n---\n").map((text, at) => ({ id: `${at + 1}`, text })),
        queries: asked.map(([, text], at) => ({ id: `q${at}`, text })),
        answers: new Map(asked.map(([right], at) => [`q${at}`, new Set([right])])),
      };
      await using encoder = await loadEncoder(bundledEncoder, { inline: true, threads: 1 });
      const vectors = createVectorRanker("vectors", (texts) => embed(encoder, texts));
      const figures = async (of: LocoTask, ranker: Ranker): Promise<string> => {
        const { ndcg, evaluation } = await evaluateLocoTask(of, ranker);
        const places = asked.map(
          ([right], at) => evaluation.queries.get(`q${at}`)!.order.indexOf(right) + 1 || "–",
        );
        return `${ndcg.toFixed(3)}\t${places.join(", ")}`;
      };
      const cut = truncateDocuments(task, 32);
      return [
        `all\t100 %\t${await figures(task, createBm25Ranker("BM25"))}\t${await figures(task, vectors)}`,
        `%\t${await figures(cut, createBm25Ranker("BM25"))}\t${await figures(cut, vectors)}`,
      ];
    },
  },
  {
    slug: "dupmae",
    async expect([text]) {
      const tokenizer = await loadTokenizer(bundledEncoder);
      const encoded = tokenizer.encode(text!);
      const options = { masking: 0.3, hiding: 0.5, seed: 1, pass: 0 };
      const { ids, masked, own, visible } = sampleDuplexMasks(tokenizer, text!, encoded, options);
      const nameOf = (at: number): string =>
        ids[at] === encoded.ids[at]
          ? text!.slice(...encoded.offsets[at]!)
          : tokenizer.idToToken(ids[at]!)!;
      const row = visible!.subarray(own[3]! * ids.length, (own[3]! + 1) * ids.length);
      const seen = own.filter((at) => row[at] === 1).length;
      return [
        `The encoder tells ${masked.length} tokens`,
        own.map(nameOf).join(" "),
        `${seen} of ${own.length} tokens`,
      ];
    },
  },
  {
    slug: "token-ring",
    expect: async () => ["64 tokens on 4 ranks took", "attention in one place is"],
  },
];

/** What the page must show of a text that is packed with factor 8. */
export async function packedTexts(
  model: LoadedModel,
  text: string,
  { next, question }: { readonly next: string; readonly question: string },
): Promise<string[]> {
  const begin = [...model.tokenizer.encodeIds("")];
  const encode = (of: string): number[] => [
    ...model.tokenizer.encodeIds(of, { addSpecialTokens: false }),
  ];
  const file = join(dirname(bundledModel), "jeton-compressor/compressor.safetensors");
  await using compressor = await openCompressor(model, file, { inline: true, threads: 1 });
  const packed = await compressor.compress([...begin, ...encode(text)]);
  const { embeddings } = contextRows(packed, 8);
  const rows = embeddings.length / model.config.hiddenSize;
  const greedy = { greedy: true, maxTokens: 12 } as const;
  const bits = async (before: ReadBefore): Promise<string> => {
    const scores = await scoreBehind(model, before, encode(next));
    return (-scores.reduce((a, b) => a + b, 0) / scores.length / Math.LN2).toFixed(2);
  };
  const given = await promptWithContext(model, [packed], encode(question), { factor: 8 });
  const { prompt, promptEmbeddings } = given;
  const answers = [
    await complete(model, [...begin, ...encode(question)], greedy),
    await complete(model, prompt, { ...greedy, promptEmbeddings }),
    await complete(model, [...packed.ids, ...encode(question)], greedy),
  ].map((answer) => answer.text.replace(/\n/g, "⏎").replace(/^ | $/g, "␣"));
  const whole = { ids: [...packed.ids] };
  return [
    `${packed.ids.length} tokens become ${rows} embeddings`,
    `nothing\t${begin.length}\t${await bits({ ids: begin })}\t${answers[0]}`,
    `the packed text\t${rows}\t${await bits({ embeddings })}\t${answers[1]}`,
    `the text itself\t${packed.ids.length}\t${await bits(whole)}\t${answers[2]}`,
  ];
}

/** What the page must show of a text in the tokens of a byte-level BPE that is learned from another. */
export async function transferredTexts(
  model: LoadedModel,
  corpus: string,
  text: string,
): Promise<string[]> {
  const trained = await trainTokenizer({
    ...{ kind: "byte-level-bpe", vocabSize: 600, texts: [corpus] },
    ...{ specialTokens: ["<s>", "</s>"], bosToken: "<s>", eosToken: "</s>" },
  });
  const folder = mkdtempSync(join(tmpdir(), "jeton-transferred-"));
  try {
    await saveTokenizer(join(folder, "tokenizer"), trained);
    const read = (name: string): ReturnType<typeof readHypernetwork> =>
      readHypernetwork(join(dirname(bundledModel), `jeton-hypernetwork/${name}.safetensors`));
    const methods = [
      ["hypernetwork, as published", zett(await read("rows"), { inline: true, threads: 1 })],
      ["hypernetwork that corrects means", zett(await read("corrections"), { inline: true })],
      ["mean of the sub-tokens", meanOfSubtokens()],
    ] as const;
    const own = await score(model, text);
    const lines = [`its own tokens\t${own.scoredTokens}\t${own.bitsPerByte.toFixed(2)}`];
    for (const [at, [name, method]] of methods.entries()) {
      const out = join(folder, String(at));
      await transfer(bundledModel, join(folder, "tokenizer"), method, { out, dtype: "F32" });
      await using moved = await loadModel(out, { format: "f32", threads: 1 });
      const { scoredTokens, bitsPerByte } = await score(moved, text);
      lines.push(`${name}\t${scoredTokens}\t${bitsPerByte.toFixed(2)}`);
    }
    return lines;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The text that every lane of a race must show. */
export async function raceText(
  model: LoadedModel,
  prompt: string,
  maxTokens: number,
): Promise<string> {
  const { text } = await complete(model, prompt, { greedy: true, maxTokens });
  return joined([text]);
}
