/**
 * What the byte2word paper claims, at the scale of encoders that train in a minute: masked words beside an
 * encoder whose words are made of sub-word pieces, with and without noise, and the size of the input side.
 */
import {
  defineReproduction,
  meanOf,
  type Reproduction,
  ratioOfSums,
  type Sample,
} from "../../reproduce/index.ts";
import { loadTokenizer } from "../../tokenizer/index.ts";
import { noiseKinds, perturbText } from "../byte/perturb-text.ts";
import { heldOutTexts } from "../byte/reproduction-kinds.ts";
import { type Comparison, prepareComparison, trainOnTexts } from "../byte/reproduction-models.ts";
import { reportParameters } from "./byte2word.ts";
import { byte2WordConfig } from "./config.ts";
import { loadByte2Word } from "./load-byte2word.ts";
import { basicWords, targetPieces } from "./word-texts.ts";

const kinds = ["bytes", "pieces", "mean"] as const;
type Kind = (typeof kinds)[number];

/** Every so many words of a text are asked for, one at a time. */
const askedEvery = 6;

/** Widths and heads of BERT's published sizes: tiny, mini, medium, base, large. */
const publishedWidths = [128, 256, 512, 768, 1024] as const;
const bertVocabSize = 30_522;

export const reproduction: Reproduction = defineReproduction({
  system: "byte2word",
  module: import.meta.url,
  claims: [
    {
      id: "small-input",
      text: "Parameters of the input side, in % of BERT's table of pieces, mean of five published widths (128 to 1,024).",
      paper: { value: 10, unit: "%", compares: "measured", setting: "BERT-base" },
      units: "widths",
      control: "BERT's own table",
      unit: "%",
      direction: "lower",
      effect: "value",
      noEffect: 100,
      reproduced: 15,
      partly: 30,
      quick: { reproduced: 15, partly: 30 },
    },
    {
      id: "parity-with-pieces",
      text: "Nats of a masked word (all of its pieces and its end) in held-out text, no worse than with words made of the pieces of a trained vocabulary (PUD in English, German and Russian; equal layers, head and text; mean of all seeds).",
      paper: { words: "on par with BERT" },
      units: "texts",
      control: "an encoder that has learned nothing: every piece equally probable",
      unit: "nats per word",
      direction: "lower",
      effect: "ratio",
      noWorse: true,
      reproduced: 0.98,
      partly: 0.95,
      quick: { reproduced: 0.95, partly: 0.9 },
    },
    {
      id: "order-counts",
      text: "The same, better than with the mean of a word's bytes in place of the learned query.",
      paper: { words: "not reported" },
      units: "texts",
      control: "an encoder that has learned nothing: every piece equally probable",
      unit: "nats per word",
      direction: "lower",
      effect: "ratio",
      reproduced: 1.01,
      partly: 1.001,
      quick: "full-only",
    },
    {
      id: "robust-to-noise",
      text: "What noise in a tenth of the letters around a masked word and ALL CAPS add to its nats, beside what they add with words made of pieces (the difference, so that smaller is better).",
      paper: { words: "competitive under synthetic noise" },
      units: "texts",
      // Noise adds to every text; which text it is must not make the difference.
      control: "what noise adds with words made of pieces, in the next text",
      unit: "nats per word",
      direction: "lower",
      effect: "difference",
      reproduced: 0.02,
      partly: 0.001,
      quick: "full-only",
    },
  ],
  async run(reproduce) {
    const shares = publishedWidths.map((width) => 100 * inputShare(width));
    reproduce.report("small-input", {
      measured: meanOf(shares),
      control: meanOf(publishedWidths.map(() => 100)),
      details: { widths: publishedWidths, shares },
    });
    const comparison = await prepareComparison(reproduce);
    const texts = heldOutTexts(comparison);
    const wanted = reproduce.quick ? (["bytes", "pieces"] as const) : kinds;
    const measured = {} as Record<Kind, KindScores>;
    for (const kind of wanted)
      measured[kind] = await measureKind(reproduce, comparison, kind, texts);
    const untrained = nats(measured.bytes.uniform);
    reproduce.report("parity-with-pieces", {
      measured: nats(measured.bytes.clean),
      baseline: nats(measured.pieces.clean),
      baselineName: "words made of pieces",
      control: untrained,
      details: describe(measured, wanted),
    });
    if (reproduce.quick) return;
    reproduce.report("order-counts", {
      measured: nats(measured.bytes.clean),
      baseline: nats(measured.mean.clean),
      baselineName: "mean of the bytes",
      control: untrained,
    });
    const added = (kind: Kind): Sample => addedOf(measured[kind]);
    reproduce.report("robust-to-noise", {
      measured: added("bytes"),
      baseline: added("pieces"),
      baselineName: "words made of pieces",
      control: addedOf(nextTexts(measured.pieces)),
    });
  },
});

/** Input side of an encoder of this width beside BERT's table. */
function inputShare(width: number): number {
  const config = byte2WordConfig({
    model_type: "byte2word",
    hidden_size: width,
    num_hidden_layers: 2,
    num_attention_heads: width / 64,
    intermediate_size: 4 * width,
    vocab_size: bertVocabSize,
    max_position_embeddings: 512,
  } as never);
  return reportParameters(config).input / (bertVocabSize * width);
}

/** Nats and number of the asked words of one text. */
interface MaskedScore {
  readonly nats: number;
  readonly words: number;
}

interface KindScores {
  /** Of each text, all seeds together. */
  readonly clean: readonly MaskedScore[];
  /** With the words around in another order. */
  readonly shuffled: readonly MaskedScore[];
  /** By an encoder to which every piece is equally probable. */
  readonly uniform: readonly MaskedScore[];
  /** By kind of noise, then text. */
  readonly noisy: readonly (readonly MaskedScore[])[];
  readonly input: number;
  readonly bySeed: readonly number[];
}

async function measureKind(
  reproduce: Parameters<Reproduction["run"]>[0],
  comparison: Comparison,
  kind: Kind,
  texts: readonly string[],
): Promise<KindScores> {
  const clean: MaskedScore[][] = [];
  const shuffled: MaskedScore[][] = [];
  const noisy: MaskedScore[][][] = [];
  const uniform: MaskedScore[][] = [];
  let input = 0;
  for (let seed = 0; seed < comparison.sizes.seeds; seed++) {
    const folder = await trainEncoder(reproduce, comparison, kind, seed);
    await using model = await loadByte2Word(folder, { threads: 2 });
    input = reportParameters(model.config).input;
    const all = async (
      change: (words: readonly string[]) => readonly string[],
      scoreOf: ScoreWord = (words, index) => model.scoreMasked(words, index),
    ) => {
      const scores: MaskedScore[] = [];
      for (const text of texts) {
        reproduce.signal.throwIfAborted();
        const limit = (model.config.contextLength - 2) / 2;
        scores.push(await scoreWords(basicWords(text).slice(0, limit), change, scoreOf));
      }
      return scores;
    };
    const tokenizer = await loadTokenizer(folder);
    const { pieceVocabSize, maxWordPieces } = model.config;
    uniform.push(
      await all(
        (words) => words,
        async (words, index) => {
          const { length } = targetPieces(tokenizer, words[index]!);
          const each = Math.log(pieceVocabSize + 1);
          return length >= maxWordPieces ? undefined : -(length + 1) * each;
        },
      ),
    );
    clean.push(await all((words) => words));
    shuffled.push(await all(reverseHalves));
    if (reproduce.quick) continue;
    const ofSeed: MaskedScore[][] = [];
    for (const noise of noiseKinds) {
      const options = { kind: noise, seed: reproduce.seed } as const;
      ofSeed.push(await all((words) => words.map((word) => perturbText(word, options) || word)));
    }
    noisy.push(ofSeed);
  }
  const join = (bySeed: readonly (readonly MaskedScore[])[]): MaskedScore[] =>
    texts.map((_, text) => ({
      nats: bySeed.reduce((sum, scores) => sum + scores[text]!.nats, 0),
      words: bySeed.reduce((sum, scores) => sum + scores[text]!.words, 0),
    }));
  return {
    clean: join(clean),
    shuffled: join(shuffled),
    uniform: join(uniform),
    noisy: reproduce.quick
      ? []
      : noiseKinds.map((_, index) => join(noisy.map((one) => one[index]!))),
    input,
    bySeed: clean.map((scores) => perWord(scores)),
  };
}

/** The words around in another order: the second half backwards, then the first. */
function reverseHalves(words: readonly string[]): readonly string[] {
  const half = Math.floor(words.length / 2);
  return [...words.slice(half).reverse(), ...words.slice(0, half)];
}

/** Log-probability of a hidden word; undefined where it has too many pieces. */
type ScoreWord = (words: readonly string[], index: number) => Promise<number | undefined>;

/** Scores every `askedEvery`-th word, hidden among the changed others. */
async function scoreWords(
  words: readonly string[],
  change: (words: readonly string[]) => readonly string[],
  scoreOf: ScoreWord,
): Promise<MaskedScore> {
  const changed = change(words);
  let [nats, count] = [0, 0];
  for (let index = askedEvery - 1; index < words.length; index += askedEvery) {
    const score = await scoreOf(changed.with(index, words[index]!), index);
    if (score === undefined) continue;
    nats -= score;
    count++;
  }
  return { nats, words: count };
}

async function trainEncoder(
  reproduce: Parameters<Reproduction["run"]>[0],
  comparison: Comparison,
  kind: Kind,
  seed: number,
): Promise<string> {
  const { width, heads, layers, batch } = comparison.sizes;
  const config = {
    model_type: "byte2word",
    hidden_size: width,
    num_hidden_layers: layers + 1,
    num_attention_heads: heads,
    intermediate_size: 3 * width,
    max_position_embeddings: 512,
    max_word_bytes: 24,
    max_word_pieces: 10,
    units: kind === "pieces" ? "pieces" : "bytes",
    pooling: kind === "mean" ? "mean" : "attention",
  };
  const { folder } = await trainOnTexts(reproduce, comparison, {
    name: `encoder-${kind}-${seed}`,
    config: config as never,
    tokens: "subwords",
    batch: 2 * batch,
    peak: 3e-3,
    warmup: 1 / 10,
    embeddingDeviation: 0.3,
    seed,
  });
  return folder;
}

function nats(scores: readonly MaskedScore[]): Sample {
  return ratioOfSums(scores.map(({ nats: sum, words: weight }) => ({ sum, weight })));
}

function perWord(scores: readonly MaskedScore[]): number {
  const words = scores.reduce((sum, one) => sum + one.words, 0);
  return scores.reduce((sum, one) => sum + one.nats, 0) / words;
}

/** The same scores, those of each text in the place of the text before it. */
function nextTexts({
  clean,
  noisy,
}: Pick<KindScores, "clean" | "noisy">): Pick<KindScores, "clean" | "noisy"> {
  const turn = <Item>(list: readonly Item[]): Item[] => [...list.slice(1), ...list.slice(0, 1)];
  return { clean: turn(clean), noisy: noisy.map(turn) };
}

/** What noise adds to each text's masked words, the mean of its kinds. */
function addedOf({ clean, noisy }: Pick<KindScores, "clean" | "noisy">): Sample {
  return ratioOfSums(
    clean.map((own, text) => ({
      sum: noisy.reduce((sum, scores) => sum + scores[text]!.nats - own.nats, 0),
      weight: noisy.reduce((sum, scores) => sum + scores[text]!.words, 0),
    })),
  );
}

function describe(
  measured: Readonly<Record<Kind, KindScores>>,
  wanted: readonly Kind[],
): Record<string, unknown> {
  return Object.fromEntries(
    wanted.map((kind) => {
      const { clean, shuffled, noisy, input, bySeed } = measured[kind];
      const byNoise = noisy.map((scores, index) => [noiseKinds[index]!, perWord(scores)] as const);
      return [
        kind,
        {
          inputParameters: input,
          natsPerWord: perWord(clean),
          natsInAnotherOrder: perWord(shuffled),
          bySeed,
          noisy: Object.fromEntries(byNoise),
        },
      ];
    }),
  );
}
