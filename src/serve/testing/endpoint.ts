/**
 * Asks a server twice, for one document and for a stream, and checks that both say the same.
 */
import { expect } from "vitest";
import { complete, type GenerateOptions } from "../../generate/index.ts";
import type { GenerationKind } from "../requests/field-notes.ts";
import type { Answer, NanoServer } from "./nano-server.ts";

/** An answer in words that all endpoints share. */
export interface Seen {
  readonly status: number;
  readonly texts: readonly string[];
  readonly finishReasons: readonly string[];
  readonly completionTokens: number;
  readonly promptTokens: number;
  readonly document: Answer;
  /** Of a refusal. */
  readonly param: string | undefined;
  readonly code: string | undefined;
  /** Parameters that warnings name. */
  readonly warned: readonly (string | null)[];
}

const paths: Readonly<Record<GenerationKind, string>> = {
  completion: "v1/completions",
  chat: "v1/chat/completions",
  responses: "v1/responses",
};

/** Every endpoint that generates. */
export const generationKinds: readonly GenerationKind[] = ["completion", "chat", "responses"];

/** Fields of a request. */
export type Fields = Readonly<Record<string, unknown>>;

/** The prompt of all requests that do not bring another. */
export const prompt: string = "The emperor";
/** Greedy requests for one prompt, in the words of each endpoint. */
const bases: Readonly<Record<GenerationKind, Fields>> = {
  completion: { prompt, temperature: 0 },
  chat: { messages: [{ role: "user", content: prompt }], temperature: 0 },
  responses: { input: prompt, temperature: 0 },
};
/** Each endpoint's name of the limit on tokens. */
export const limitNames: Readonly<Record<GenerationKind, string>> = {
  completion: "max_tokens",
  chat: "max_completion_tokens",
  responses: "max_output_tokens",
};
/** One endpoint, as the cases below ask it: 12 tokens unless they say otherwise. */
export class Endpoint {
  readonly kind: GenerationKind;
  readonly nano: NanoServer;

  constructor(nano: NanoServer, kind: GenerationKind) {
    this.nano = nano;
    this.kind = kind;
  }

  /** Asks for one document and a stream, which must say the same; `stream: false` leaves the stream out. */
  ask(fields: Fields): Promise<Seen> {
    const limit = limitNames[this.kind];
    return askBoth(this.nano, this.kind, { ...bases[this.kind], [limit]: 12, ...fields });
  }

  /** The fields of another prompt. */
  prompted(text: string): Fields {
    if (this.kind === "completion") return { prompt: text };
    return this.kind === "chat" ? { messages: [{ role: "user", content: text }] } : { input: text };
  }

  /** What the library generates for the same prompt. */
  async expected(options: GenerateOptions): Promise<string> {
    const { tokenizer } = this.nano.model;
    const isChat = this.kind !== "completion";
    const text = isChat ? `${prompt} -` : prompt;
    const ids = tokenizer.encodeIds(text, { addSpecialTokens: !isChat });
    return (await complete(this.nano.model, ids, { maxTokens: 12, greedy: true, ...options })).text;
  }

  /** Expects a 400 about this parameter. */
  async refuses(fields: Fields, param: string, code = "unsupported_parameter"): Promise<void> {
    const { status, ...seen } = await this.ask(fields);
    expect([status, seen.param, seen.code]).toEqual([400, param, code]);
  }
}

/** Asks an endpoint; `stream: false` among the fields keeps to the document. */
async function askBoth(
  nano: NanoServer,
  kind: GenerationKind,
  fields: Readonly<Record<string, unknown>>,
): Promise<Seen> {
  const { stream, stream_options, ...others } = fields;
  if (stream === false) {
    const { status, document } = await nano.post(paths[kind], fields);
    return readAnswer(status, document);
  }
  const events = await nano.stream(paths[kind], {
    ...others,
    stream_options: stream_options ?? (kind === "responses" ? undefined : { include_usage: true }),
  });
  const { status, document } = await nano.post(paths[kind], others);
  const seen = readAnswer(status, document);
  const streamed = readStream(kind, events);
  const comparable = ({ texts, finishReasons, completionTokens, param, code }: Seen): object => ({
    texts,
    finishReasons,
    completionTokens,
    param,
    code,
  });
  expect(comparable(streamed)).toEqual(comparable(seen));
  // A stream may have warnings of its own, about `stream_options`.
  expect(streamed.warned).toEqual(expect.arrayContaining([...seen.warned]));
  return { ...seen, warned: streamed.warned };
}

function readAnswer(status: number, document: Answer): Seen {
  const { error, usage, warnings = [] } = document;
  const isResponse = document.object === "response";
  const choices: Answer[] = document.choices ?? [];
  return {
    status,
    texts: isResponse
      ? [document.output[0].content[0].text]
      : choices.map((choice) => choice.text ?? choice.message.content),
    finishReasons: isResponse
      ? [document.status === "incomplete" ? "length" : "stop"]
      : choices.map((choice) => choice.finish_reason),
    completionTokens: usage?.completion_tokens ?? usage?.output_tokens ?? 0,
    promptTokens: usage?.prompt_tokens ?? usage?.input_tokens ?? 0,
    document,
    param: error?.param,
    code: error?.code,
    warned: warnings.map((warning: Answer) => warning.param),
  };
}

/** The document that a stream's events add up to. */
function readStream(kind: GenerationKind, events: readonly string[]): Seen {
  const [first] = events;
  if (first !== undefined && !/^(?:data|event): /.test(first)) {
    return readAnswer(400, JSON.parse(first));
  }
  const documents: Answer[] = events
    .map((event) => event.slice(event.indexOf("data: ") + "data: ".length))
    .filter((data) => data !== "[DONE]")
    .map((data) => JSON.parse(data));
  if (kind === "responses") {
    const { response } = documents.at(-1);
    const deltas = documents.filter(({ type }) => type === "response.output_text.delta");
    expect(deltas.map(({ delta }) => delta).join("")).toBe(response.output[0].content[0].text);
    return readAnswer(200, response);
  }
  const choices: Answer[] = [];
  for (const part of documents.flatMap((document) => document.choices)) {
    choices[part.index] ??= { text: "", finish_reason: null };
    const choice = choices[part.index];
    choice.text += part.text ?? part.delta.content ?? "";
    choice.finish_reason ??= part.finish_reason;
  }
  const warnings = documents.flatMap((document) => document.warnings ?? []);
  return readAnswer(200, { choices, usage: documents.at(-1).usage, warnings });
}
