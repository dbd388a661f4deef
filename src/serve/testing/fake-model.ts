/**
 * A model without weights: it "generates" letters that depend on the seed, the sequence and the
 * position, at the pace that a test sets. So the server's own behaviour can be tested token by token,
 * apart from any model.
 */
import { createRandom } from "../../core/index.ts";
import type {
  Generate,
  GeneratedToken,
  GenerateOptions,
  GenerateResult,
} from "../../generate/types.ts";
import type { LoadedModel } from "../../model/types.ts";
import { createTokenizer, type Tokenizer } from "../../tokenizer/index.ts";
import { byteLevelFile } from "../../tokenizer/testing/fixtures.ts";
import type { Score } from "../answers/generation-run.ts";

export interface FakeModel {
  readonly model: LoadedModel;
  readonly generate: Generate;
  readonly score: Score;
  /** Tokens generated so far, by all sequences. */
  readonly generated: () => number;
}

export interface FakeModelOptions {
  slots?: number;
  contextLength?: number;
  chatTemplate?: string;
  /** Awaited before every token. Default: one turn of the event loop. */
  pace?: (sequence: number, position: number) => Promise<void>;
  /** Text of every token instead of its letter. */
  tokenText?: string;
  /** Called with the options of every generation. */
  onGenerate?: (options: GenerateOptions) => void;
}

const letters = 26;

/** Makes a fake model with a real byte-level tokenizer. */
export function createFakeModel(options: FakeModelOptions = {}): FakeModel {
  const { slots = 4, contextLength = 256, tokenText } = options;
  const pace = options.pace ?? (() => new Promise<void>((resolve) => setImmediate(resolve)));
  const tokenizer = createTokenizer(byteLevelFile(), {
    ...(options.chatTemplate !== undefined && {
      chatTemplates: new Map([["default", options.chatTemplate]]),
    }),
  });
  const firstLetter = tokenizer.tokenToId("a")!;
  let open = 0;
  let generated = 0;
  const model: Partial<LoadedModel> = {
    name: "fake/letters",
    tokenizer,
    slots,
    contextLength,
    format: "f32",
    config: { vocabSize: tokenizer.vocabSize } as LoadedModel["config"],
    bosTokenId: tokenizer.tokenToId("<|end|>"),
    eosTokenIds: [],
    get openSequences() {
      return open;
    },
  };
  const alternatives = (count: number) =>
    Array.from({ length: count }, (_, rank) => ({
      id: firstLetter + rank,
      logProbability: -Math.log(letters),
    }));
  async function* generate(
    _model: LoadedModel,
    prompt: string | readonly number[] | Int32Array,
    given: GenerateOptions = {},
  ): AsyncGenerator<GeneratedToken, GenerateResult, void> {
    options.onGenerate?.(given);
    const { seed = 0, sequence = 0, maxTokens = 8, signal, topLogProbabilities = 0 } = given;
    open++;
    const ids: number[] = [];
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    aborted.catch(() => {});
    try {
      for (let position = 0; position < maxTokens; position++) {
        signal?.throwIfAborted();
        await Promise.race([pace(sequence, position), aborted]);
        const random = createRandom(seed, sequence, position);
        const id = firstLetter + random.integer(letters);
        ids.push(id);
        generated++;
        yield {
          id,
          text: tokenText ?? tokenizer.decode([id]),
          logProbability: -Math.log(letters),
          ...(topLogProbabilities > 0 && {
            topLogProbabilities: alternatives(topLogProbabilities),
          }),
          origin: { kind: "decoded" },
        };
      }
      return {
        text: tokenText === undefined ? tokenizer.decode(ids) : tokenText.repeat(ids.length),
        tail: "",
        ids,
        finishReason: "length",
        seed,
        promptTokens: prompt.length,
        reusedTokens: Math.min(2, prompt.length),
        prefillSeconds: 0,
        decodeSeconds: 0,
      };
    } finally {
      open--;
    }
  }
  const score: Score = async (_model, text, { topLogProbabilities = 0 } = {}) =>
    scoreEvenly(Array.from(text as Int32Array), tokenizer, () => alternatives(topLogProbabilities));
  return { model: model as LoadedModel, generate, score, generated: () => generated };
}

/** Scores in which every token is as probable as any letter. */
function scoreEvenly(
  ids: readonly number[],
  tokenizer: Tokenizer,
  alternatives: () => { id: number; logProbability: number }[],
): Awaited<ReturnType<Score>> {
  const logProbability = -Math.log(letters);
  return {
    tokens: ids.map((id) => ({
      id,
      text: tokenizer.idToToken(id) ?? "",
      logProbability,
      topLogProbabilities: alternatives(),
    })),
    logProbability: logProbability * ids.length,
    perplexity: letters,
    bitsPerByte: 1,
    scoredTokens: ids.length,
    bytes: 1,
  };
}

/** A promise that many may await and one call resolves. */
export function createGate(): { wait: () => Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { wait: () => opened, open };
}

/** Waits until a condition holds; the test's own time limit ends it otherwise. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
