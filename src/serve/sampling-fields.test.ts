/** The fields of requests that all endpoints share: each changes the text as the library's option does. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { GenerateOptions } from "../generate/index.ts";
import { samplingFields } from "./requests/sampling-fields.ts";
import { Endpoint, type Fields, generationKinds, limitNames } from "./testing/endpoint.ts";
import { type NanoServer, startNanoServer } from "./testing/nano-server.ts";

let nano: NanoServer;
beforeAll(async () => {
  nano = await startNanoServer({ chatTemplate: "{{ messages[0].content }} -" });
});
afterAll(() => nano[Symbol.asyncDispose]());

type Case = (endpoint: Endpoint) => Promise<void>;

/** The text is what the library generates with these options, and not what it is without the field. */
function like(options: GenerateOptions, fields: Fields, base: Fields = {}): Case {
  return async (endpoint) => {
    const [text] = (await endpoint.ask({ ...base, ...fields })).texts;
    expect(text).toBe(await endpoint.expected(options));
    expect(text).not.toBe((await endpoint.ask(base)).texts[0]);
  };
}

const sampled = { temperature: 1.5, seed: 5 };
const hot = { greedy: false, ...sampled };

/** As `like`, on 48 tokens, among which some come again. */
function repeated(options: GenerateOptions, fields: Fields): Case {
  return (endpoint) => {
    const base = { [limitNames[endpoint.kind]]: 48 };
    return like({ maxTokens: 48, ...options }, fields, base)(endpoint);
  };
}

const endToken = 1;
const sure = { logit_bias: { [endToken]: 100 } };

const cases: Readonly<Record<string, Case>> = {
  async model(endpoint) {
    expect((await endpoint.ask({ model: "nano" })).status).toBe(200);
    const { status, code } = await endpoint.ask({ model: "other" });
    expect([status, code]).toEqual([404, "model_not_found"]);
  },
  temperature: like(hot, sampled),
  top_p: like({ ...hot, topP: 0.3 }, { top_p: 0.3 }, sampled),
  top_k: like({ ...hot, topK: 3 }, { top_k: 3 }, sampled),
  min_p: like({ ...hot, minP: 0.2 }, { min_p: 0.2 }, sampled),
  repetition_penalty: repeated({ repetitionPenalty: 1.8 }, { repetition_penalty: 1.8 }),
  repeat_penalty: repeated({ repetitionPenalty: 1.8 }, { repeat_penalty: 1.8 }),
  frequency_penalty: repeated({ frequencyPenalty: 2 }, { frequency_penalty: 2 }),
  presence_penalty: repeated({ presencePenalty: 2 }, { presence_penalty: 2 }),
  typical_p: like({ ...hot, typicalP: 0.2 }, { typical_p: 0.2 }, sampled),
  no_repeat_ngram_size: repeated({ noRepeatNgramSize: 2 }, { no_repeat_ngram_size: 2 }),
  async allowed_token_ids(endpoint) {
    const { vocabSize } = endpoint.nano.model.config;
    const allowed = [" the", " of", " a"].map((word) => onlyId(endpoint, word));
    const fields = { ...sampled, allowed_token_ids: allowed };
    const [text] = (await endpoint.ask(fields)).texts;
    expect(text).toBe(await endpoint.expected({ ...hot, allowedTokens: allowed }));
    expect(
      text!
        .trimStart()
        .split(" ")
        .every((word) => ["the", "of", "a"].includes(word)),
    ).toBe(true);
    // The end token is none of them, for any logit; alone it ends the text at once.
    expect((await endpoint.ask({ ...fields, ...sure })).completionTokens).toBe(12);
    const ended = await endpoint.ask({ ...sampled, allowed_token_ids: [endToken] });
    expect([ended.texts, ended.finishReasons]).toEqual([[""], ["stop"]]);
    const none = { allowed_token_ids: [endToken], min_tokens: 1 };
    expect(await endpoint.ask(none)).toMatchObject({ status: 400, code: "generate_no_token_left" });
    await endpoint.refuses({ allowed_token_ids: [] }, "allowed_token_ids", "invalid_value");
    const beyond = { allowed_token_ids: [vocabSize] };
    await endpoint.refuses(beyond, "allowed_token_ids", "invalid_value");
  },
  async bad_words(endpoint) {
    const [text] = (await endpoint.ask({})).texts;
    const [first, second] = text!.trim().split(" ");
    for (const word of [first!, `${first} ${second}`]) {
      const [other] = (await endpoint.ask({ bad_words: [word, "emperor's new clothes"] })).texts;
      expect(text).toContain(word);
      expect(other).not.toContain(word);
    }
    expect((await endpoint.ask({ bad_words: [] })).texts).toEqual([text]);
    await endpoint.refuses({ bad_words: ["</s>"] }, "bad_words[0]", "invalid_value");
    await endpoint.refuses({ bad_words: [""] }, "bad_words[0]", "invalid_value");
    const ignored = await endpoint.ask({ ...sure, ignore_eos: true, bad_words: ["</s>"] });
    expect(ignored.texts).toEqual([text]);
  },
  logit_bias: like({ logitBias: { 264: 100 } }, { logit_bias: { 264: 100 } }),
  async seed(endpoint) {
    const ask = async (seed: number): Promise<string> =>
      (await endpoint.ask({ ...sampled, seed })).texts[0]!;
    expect(await ask(7)).toBe(await endpoint.expected({ ...hot, seed: 7 }));
    expect(await ask(7)).toBe(await ask(7));
    expect(await ask(8)).not.toBe(await ask(7));
  },
  async stop(endpoint) {
    const [text] = (await endpoint.ask({})).texts;
    const stop = text!.slice(3, 6);
    for (const given of [stop, [stop, "nothing like it"]]) {
      const { texts, finishReasons } = await endpoint.ask({ stop: given });
      expect([texts[0], finishReasons[0]]).toEqual([text!.slice(0, text!.indexOf(stop)), "stop"]);
    }
  },
  async stop_token_ids(endpoint) {
    const { finishReasons, texts } = await endpoint.ask({
      logit_bias: { 264: 100 },
      stop_token_ids: [264],
    });
    expect([texts, finishReasons]).toEqual([[""], ["stop"]]);
  },
  async min_tokens(endpoint) {
    expect((await endpoint.ask(sure)).completionTokens).toBe(0);
    const seen = await endpoint.ask({ ...sure, min_tokens: 5 });
    expect([seen.completionTokens, seen.finishReasons]).toEqual([5, ["stop"]]);
    await endpoint.refuses({ min_tokens: 13 }, "min_tokens", "invalid_value");
  },
  async ignore_eos(endpoint) {
    expect((await endpoint.ask(sure)).finishReasons).toEqual(["stop"]);
    const seen = await endpoint.ask({ ...sure, ignore_eos: true });
    expect([seen.completionTokens, seen.finishReasons]).toEqual([12, ["length"]]);
  },
  // `ask` compares each answer with its stream.
  async stream(endpoint) {
    expect((await endpoint.ask({})).completionTokens).toBe(12);
  },
  async stream_options(endpoint) {
    await endpoint.refuses(
      { stream: false, stream_options: {} },
      "stream_options",
      "invalid_value",
    );
    const options = { include_usage: true, continuous_usage_stats: true };
    // A response counts its tokens once, in its last event.
    const once = endpoint.kind === "responses" ? ["stream_options.continuous_usage_stats"] : [];
    expect((await endpoint.ask({ stream_options: options })).warned).toEqual(once);
  },
  async drafter(endpoint) {
    const { texts, document } = await endpoint.ask({ drafter: "prompt-lookup", stream: false });
    expect(texts).toEqual((await endpoint.ask({})).texts);
    expect(document.usage.drafting.drafter).toBe("prompt-lookup");
    await endpoint.refuses({ drafter: "oracle" }, "drafter", "invalid_value");
  },
  async bytes(endpoint) {
    const { texts, completionTokens } = await endpoint.ask({ bytes: true });
    expect([Buffer.byteLength(texts[0]!), completionTokens]).toEqual([12, 12]);
    expect(texts).toEqual((await endpoint.ask({ bytes: true })).texts);
    await endpoint.refuses({ bytes: true, logit_bias: { 264: 1 } }, "logit_bias");
    await endpoint.refuses({ bytes: true, drafter: "prompt-lookup" }, "drafter");
    await endpoint.refuses({ bytes: true, typical_p: 0.5 }, "typical_p");
    await endpoint.refuses({ bytes: true, bad_words: ["the"] }, "bad_words");
    // Values that ask for nothing are no hindrance.
    const nothing = { typical_p: 1, no_repeat_ngram_size: 0, repetition_penalty: 1, bad_words: [] };
    expect((await endpoint.ask({ bytes: true, ...nothing })).texts).toEqual(texts);
  },
};

/** The id of a text that is one token. */
function onlyId({ nano }: Endpoint, text: string): number {
  const ids = nano.model.tokenizer.encodeIds(text, { addSpecialTokens: false });
  expect(ids).toHaveLength(1);
  return ids[0]!;
}

test("every shared field has a case, and no other", () => {
  // A policy has to be named when the server starts: `context-policies.test.ts`.
  const others = Object.keys(samplingFields).filter((field) => field !== "context_policy");
  expect(Object.keys(cases).sort()).toEqual(others.sort());
});

describe.each(generationKinds)("%s obeys", (kind) => {
  test.each(Object.entries(cases))("%s", async (_name, check) => {
    await check(new Endpoint(nano, kind));
  });
});
