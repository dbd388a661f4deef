/** Log-probabilities follow one rule on the three endpoints that generate. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type GeneratedToken, generate } from "../generate/index.ts";
import type { GenerationKind } from "./requests/field-notes.ts";
import { Endpoint, type Fields, generationKinds } from "./testing/endpoint.ts";
import { type Answer, type NanoServer, startNanoServer } from "./testing/nano-server.ts";

let nano: NanoServer;
beforeAll(async () => {
  nano = await startNanoServer({ chatTemplate: "{{ messages[0].content }}" });
});
afterAll(() => nano[Symbol.asyncDispose]());

const prompt = "The emperor";
const requests: Readonly<Record<GenerationKind, { path: string; body: Fields }>> = {
  completion: { path: "v1/completions", body: { prompt, logprobs: 0, add_special_tokens: false } },
  chat: {
    path: "v1/chat/completions",
    body: { messages: [{ role: "user", content: prompt }], logprobs: true },
  },
  responses: {
    path: "v1/responses",
    body: { input: prompt, include: ["message.output_text.logprobs"] },
  },
};

/** Pairs of token and log-probability in a document, a choice of a chunk or an event. */
function entriesOf(answer: Answer): [string, number][] {
  const choice = answer.choices?.[0];
  const { tokens, token_logprobs: values } = choice?.logprobs ?? {};
  if (tokens !== undefined) return tokens.map((token: string, at: number) => [token, values[at]]);
  const content = choice ? choice.logprobs?.content : (answer.logprobs ?? contentOf(answer));
  return (content ?? []).map((entry: Answer) => [entry.token, entry.logprob]);
}

function contentOf(answer: Answer): Answer {
  return answer.output?.[0].content[0].logprobs;
}

async function streamedEntries(kind: GenerationKind, body: Fields): Promise<[string, number][]> {
  const events = await nano.stream(requests[kind].path, body);
  return events
    .map((event) => event.slice(event.indexOf("data: ") + "data: ".length))
    .filter((data) => data !== "[DONE]")
    .map((data) => JSON.parse(data))
    .filter(({ type }) => type === undefined || type === "response.output_text.delta")
    .flatMap(entriesOf);
}

describe.each(generationKinds)("%s", (kind) => {
  test("the token that ended the text has the last entry, in a stream too", async () => {
    const ids = nano.model.tokenizer.encodeIds(prompt, { addSpecialTokens: false });
    const tokens: GeneratedToken[] = [];
    const options = { greedy: true, maxTokens: 4 };
    for await (const token of generate(nano.model, ids, options)) tokens.push(token);
    const expected = tokens.map(({ id, logProbability }) => [
      nano.model.tokenizer.decode([id]),
      logProbability,
    ]);
    const ending = { stop_token_ids: [tokens[3]!.id] };
    const { path, body } = requests[kind];
    const greedy = { ...body, temperature: 0, ...ending };
    const { document } = await nano.post(path, greedy);
    expect(entriesOf(document)).toEqual(expected);
    expect(await streamedEntries(kind, greedy)).toEqual(expected);
    const { texts, finishReasons, completionTokens } = await new Endpoint(nano, kind).ask({
      ...greedy,
      stream: false,
    });
    expect(finishReasons).toEqual(["stop"]);
    expect(completionTokens).toBe(3);
    expect(texts).toEqual([
      tokens
        .slice(0, 3)
        .map(({ text }) => text)
        .join(""),
    ]);
  });
});
