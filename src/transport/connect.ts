/// <reference lib="esnext.disposable" preserve="true" />
/** Messages between processes on NATS: publish, subscribe, requests with a deadline. */
import { JetonError } from "../core/index.ts";
import {
  checkOptionRules,
  checkRequired,
  type OptionErrors,
  secondsRule,
  signalRule,
  textRule,
} from "../core/option-rules.ts";
import { decodeFrame, encodeFrame, type Frame, type FrameArray } from "./array-frames.ts";

/** Options of `connectTransport`. */
export interface ConnectTransportOptions {
  /** Address of the server, e.g. `"nats://127.0.0.1:4222"`. */
  readonly url: string;
  /** The server's token. Default: none. */
  readonly token?: string;
  /** Shown by the server. Default `"jeton"`. */
  readonly name?: string;
  /** Seconds until the connection has to stand. Default 10. */
  readonly deadline?: number;
}

/** A message as it came. */
export interface TransportMessage extends Frame {
  readonly subject: string;
}

/** What a handler of requests returns. */
export interface TransportReply {
  readonly head?: unknown;
  readonly arrays?: readonly FrameArray[];
}

/** What a message carries; nothing by default. */
export type TransportContent = TransportReply;

/** A connection. Subjects are words with dots between them: `"ring.7.0"`. */
export interface Transport {
  /** Bytes of a message at most, as the server says. */
  readonly maxMessageBytes: number;
  /** Sends a message to all that subscribe to the subject; without a subscriber it is lost. */
  publish(subject: string, content?: TransportContent): void;
  /** Calls a handler with each message of a subject, `*` and `>` as NATS has them. @returns ends the subscription */
  subscribe(subject: string, handler: (message: TransportMessage) => void): () => void;
  /** Answers requests; with `queue`, each goes to one of all that name the same. An error of the handler is sent back. */
  respond(
    subject: string,
    handler: (message: TransportMessage) => Promise<TransportReply> | TransportReply,
    options?: { readonly queue?: string },
  ): () => void;
  /**
   * Sends a request and waits for its answer.
   *
   * @param options `deadline` in seconds, default 30
   * @throws JetonError `transport-option-invalid`, `transport-deadline`, `transport-no-responder`, `transport-closed`, or the responder's own
   */
  request(
    subject: string,
    content?: TransportContent,
    options?: { readonly deadline?: number; readonly signal?: AbortSignal },
  ): Promise<Frame>;
  /** False once the connection was closed, or its server ended. */
  isOpen(): boolean;
  /** Resolves when the connection was closed, or its server ended. */
  closed(): Promise<void>;
  /** Resolves when the server has taken everything that was published. */
  flush(): Promise<void>;
  /** Ends the connection; what was published is sent before. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** The client is an optional package: it is loaded by the first connection. */
async function loadClient() {
  try {
    return await import("@nats-io/transport-node");
  } catch (cause) {
    throw new JetonError(
      "messages between processes need the package @nats-io/transport-node: npm install @nats-io/transport-node",
      {
        code: "transport-packages-missing",
        details: { expected: ["@nats-io/transport-node"] },
        cause,
      },
    );
  }
}

type Client = Awaited<ReturnType<typeof loadClient>>;
type Connection = Awaited<ReturnType<Client["connect"]>>;

const connectRules = { token: textRule, name: textRule, deadline: secondsRule };

const requestRules = { deadline: secondsRule, signal: signalRule };

/** How errors about options of the transport read. */
export const transportErrors = (what: string): OptionErrors => ({
  what,
  invalidCode: "transport-option-invalid",
});

/**
 * Connects to a server.
 *
 * @throws JetonError `transport-option-invalid`, `transport-packages-missing`, `transport-unreachable`
 */
export async function connectTransport(options: ConnectTransportOptions): Promise<Transport> {
  checkRequired(options, { url: textRule }, "transport-option-invalid");
  // A server that was started here is given as it is, with its other fields.
  const { token, name = "jeton", deadline = 10, url } = options;
  checkOptionRules({ token, name, deadline }, connectRules, transportErrors("a connection"));
  const client = await loadClient();
  let connection: Connection;
  try {
    connection = await client.connect({
      servers: url,
      name,
      timeout: deadline * 1000,
      // A process that lost its server fails at once: what it had under way is lost with it.
      reconnect: false,
      ...(token !== undefined && { token }),
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new JetonError(`${url} cannot be reached: ${reason}`, {
      code: "transport-unreachable",
      details: { url },
      cause,
    });
  }
  return openTransport(client, connection);
}

function openTransport(client: Client, connection: Connection): Transport {
  const send = (subject: string, content: TransportContent): Uint8Array => {
    checkOpen(connection);
    checkSubject(subject);
    return encodeChecked(connection, content);
  };
  const listen = (
    subject: string,
    options: { queue?: string },
    handler: (data: Uint8Array, subject: string, reply: (bytes: Uint8Array) => void) => void,
  ): (() => void) => {
    checkOpen(connection);
    checkSubject(subject, true);
    const subscription = connection.subscribe(subject, {
      ...options,
      callback: (error, message) => {
        if (error === null || error === undefined) {
          handler(message.data, message.subject, (bytes) => void message.respond(bytes));
        }
      },
    });
    return () => subscription.unsubscribe();
  };
  const close = async (): Promise<void> => {
    if (!connection.isClosed()) await connection.drain().catch(() => connection.close());
  };
  return {
    maxMessageBytes: maxMessageBytes(connection),
    publish(subject, content = {}) {
      connection.publish(subject, send(subject, content));
    },
    subscribe: (subject, handler) =>
      listen(subject, {}, (data, from) => handler({ subject: from, ...decodeFrame(data) })),
    respond: (subject, handler, { queue } = {}) =>
      listen(subject, queue === undefined ? {} : { queue }, (data, from, reply) => {
        void answerRequest(data, from, handler).then((frame) =>
          reply(encodeAnswer(connection, frame)),
        );
      }),
    async request(subject, content = {}, options = {}) {
      checkOptionRules(options, requestRules, transportErrors("a request"));
      const { deadline = 30, signal } = options;
      signal?.throwIfAborted();
      const bytes = send(subject, content);
      const answer = connection.request(subject, bytes, { timeout: deadline * 1000 });
      const data = await withSignal(answer, signal).catch((error: unknown) => {
        signal?.throwIfAborted();
        throw requestError(client, subject, deadline, error);
      });
      return readAnswer(decodeFrame(data.data));
    },
    isOpen: () => !connection.isClosed() && !connection.isDraining(),
    closed: async () => void (await connection.closed()),
    flush: () => connection.flush(),
    close,
    [Symbol.asyncDispose]: close,
  };
}

function checkOpen(connection: Connection): void {
  if (!connection.isClosed() && !connection.isDraining()) return;
  throw new JetonError("the connection is closed", { code: "transport-closed" });
}

function checkSubject(subject: string, withWildcards = false): void {
  const word = withWildcards ? /^(?:[^\s.*>]+|\*|>$)$/ : /^[^\s.*>]+$/;
  const words = subject.split(".");
  const isRight = words.every(
    (part, i) => word.test(part) && (part !== ">" || i === words.length - 1),
  );
  if (isRight) return;
  throw new JetonError(`${JSON.stringify(subject)} is no subject`, {
    code: "transport-subject-invalid",
    details: { found: subject, expected: "words with dots between them" },
  });
}

function maxMessageBytes(connection: Connection): number {
  return connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
}

function encodeChecked(
  connection: Connection,
  { head, arrays = [] }: TransportContent,
): Uint8Array {
  const bytes = encodeFrame({ head, arrays });
  const most = maxMessageBytes(connection);
  if (bytes.byteLength <= most) return bytes;
  throw new JetonError(`a message of ${bytes.byteLength} bytes is too large for the server`, {
    code: "transport-message-too-large",
    details: { found: bytes.byteLength, expected: `at most ${most} bytes` },
  });
}

/** An answer, or why there is none, as it crosses. */
interface AnswerHead {
  readonly answer?: unknown;
  readonly error?: { readonly code: string; readonly message: string; readonly details: object };
}

async function answerRequest(
  data: Uint8Array,
  subject: string,
  handler: (message: TransportMessage) => Promise<TransportReply> | TransportReply,
): Promise<TransportReply> {
  try {
    const { head, arrays } = await handler({ subject, ...decodeFrame(data) });
    return { head: { answer: head ?? null } satisfies AnswerHead, arrays: arrays ?? [] };
  } catch (error) {
    return { head: { error: describe(error) } satisfies AnswerHead };
  }
}

function encodeAnswer(connection: Connection, reply: TransportReply): Uint8Array {
  try {
    return encodeChecked(connection, reply);
  } catch (error) {
    return encodeFrame({ head: { error: describe(error) } satisfies AnswerHead, arrays: [] });
  }
}

function describe(error: unknown): NonNullable<AnswerHead["error"]> {
  if (JetonError.isInstance(error)) {
    return { code: error.code, message: error.message, details: error.details };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { code: "transport-responder-failed", message, details: {} };
}

function readAnswer({ head, arrays }: Frame): Frame {
  const { answer, error } = head as AnswerHead;
  if (error === undefined) return { head: answer, arrays };
  const { code, message, details } = error;
  throw new JetonError(message, { code, details: { ...details } });
}

function withSignal<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

function requestError(
  { NoRespondersError, RequestError, TimeoutError }: Client,
  subject: string,
  deadline: number,
  cause: unknown,
): JetonError {
  const root = cause instanceof RequestError && cause.cause !== undefined ? cause.cause : cause;
  const details = { subject, deadline };
  if (root instanceof TimeoutError) {
    return new JetonError(`${subject}: no answer within ${deadline} seconds`, {
      code: "transport-deadline",
      details,
      cause,
    });
  }
  if (root instanceof NoRespondersError) {
    return new JetonError(`${subject}: nothing answers this subject`, {
      code: "transport-no-responder",
      details,
      cause,
    });
  }
  return new JetonError(`${subject}: the connection was closed`, {
    code: "transport-closed",
    details,
    cause,
  });
}
