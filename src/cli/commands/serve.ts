/** `jeton serve`: the HTTP server. */
import { basename } from "node:path";
import { type Command, defineCommand, defined } from "../command.ts";
import { checkDrafterOptions, drafterOptions } from "../options/drafting.ts";
import { locateModel } from "../options/locate.ts";
import { modelOptions, withModel } from "../options/model-options.ts";

export const command: Command = defineCommand({
  name: "serve",
  summary: "answer HTTP requests, OpenAI-compatible",
  description:
    "Answers HTTP requests in the manner of OpenAI's interface: /v1/models, /v1/completions and " +
    "/v1/chat/completions with streaming, besides /tokenize, /detokenize, /health and /metrics. " +
    "Ctrl-C lets running answers end; a second one ends them at once.",
  positionals: [],
  options: {
    ...modelOptions,
    ...drafterOptions,
    port: {
      kind: "integer",
      short: "p",
      value: "PORT",
      max: 65535,
      default: 8080,
      help: "port to listen on; 0 takes a free one",
    },
    host: {
      kind: "text",
      value: "ADDRESS",
      default: "127.0.0.1",
      help: "address to listen on; 0.0.0.0 lets other machines in",
    },
    apiKey: {
      kind: "text",
      value: "KEY",
      help: "refuse requests without this key; JETON_API_KEY does the same and stays out of the list of processes",
    },
    name: {
      kind: "text",
      value: "NAME",
      help: "the model's name as clients write it; default: its folder's or hub name",
    },
    cors: {
      kind: "list",
      value: "ORIGIN",
      help: "web pages of this origin may use the server; * lets all of them",
    },
    allowHost: {
      kind: "list",
      value: "NAME",
      help: "host name, besides addresses and localhost, under which the server may be reached",
    },
    slots: {
      kind: "integer",
      value: "N",
      min: 1,
      default: 16,
      help: "sequences that are generated at once",
    },
    queue: {
      kind: "integer",
      value: "N",
      help: "requests that may wait; more are refused with 429",
    },
    maxBody: { kind: "integer", value: "BYTES", min: 1, help: "largest body of a request" },
    grace: {
      kind: "number",
      value: "SECONDS",
      min: 0,
      default: 30,
      help: "how long running answers may take to end after Ctrl-C",
    },
    quiet: { kind: "flag", short: "q", help: "no line for each request on standard error" },
  },
  examples: [
    {
      line: "jeton serve --model path/to/checkpoint --port 8080",
      shows: "then point an OpenAI client at http://127.0.0.1:8080/v1",
    },
  ],
  async run(context, values) {
    const { stderr, stdout, environment, signal } = context;
    const apiKey = values.apiKey ?? (environment["JETON_API_KEY"] || undefined);
    checkDrafterOptions(values);
    const { slots, inexact } = values;
    return withModel(context, values, { slots, inexact }, async (model) => {
      const name = values.name ?? modelName(model.name);
      const { startServer } = await import("../../serve/index.ts");
      const server = await startServer(model, {
        port: values.port,
        host: values.host,
        ...defined({ apiKey, maxQueue: values.queue, maxBodyBytes: values.maxBody }),
        modelName: name,
        drafter: values.drafter,
        ...defined({
          draftModel: values.draftModel && (await locateModel(context, values.draftModel)),
        }),
        ...(values.cors.length > 0 && {
          corsOrigin: values.cors.includes("*") ? "*" : values.cors,
        }),
        ...(values.allowHost.length > 0 && { allowedHosts: values.allowHost }),
        ...(!values.quiet && { onLog: (line: string) => void stderr.write(`${line}\n`) }),
      });
      const interrupted = new Promise<void>((resolve) => {
        const release = context.handleInterrupts(() => {
          release();
          resolve();
        });
      });
      try {
        if (values.json) {
          const document = { url: server.url, port: server.port, model: name };
          await stdout.write(`${JSON.stringify(document)}\n`);
        }
        await stderr.write(`${name} answers at ${server.url} (Ctrl-C ends)\n`);
        if (apiKey === undefined && !isLoopback(values.host)) {
          await stderr.write(
            `${stderr.style.red("warning:")} other machines can reach it, and no API key is asked for\n`,
          );
        }
        await interrupted;
        await stderr.write("ending; running answers may finish (Ctrl-C ends them now)\n");
      } finally {
        await closeServer(server, values.grace, signal);
      }
    });
  },
});

/** Lets running answers end for a while; an abort meanwhile ends them at once. */
async function closeServer(
  server: { close(options?: { graceMs?: number }): Promise<void> },
  grace: number,
  signal: AbortSignal,
): Promise<void> {
  const stop = (): void => void server.close({ graceMs: 0 });
  if (signal.aborted) return server.close({ graceMs: 0 });
  signal.addEventListener("abort", stop, { once: true });
  try {
    await server.close({ graceMs: grace * 1000 });
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** `owner/name` as it is; of a path its last part, which tells clients nothing about the machine. */
function modelName(name: string): string {
  return /^[\w.-]+\/[\w.-]+$/.test(name) && !name.startsWith(".") ? name : basename(name);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}
