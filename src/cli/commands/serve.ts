/** `jeton serve`: the HTTP server. */
import type { LoadedEncoder } from "../../model/encoder/types.ts";
import type { LoadedModel } from "../../model/types.ts";
import { type Command, defineCommand, defined, type Options, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type ServeDocument, writeJson } from "../json-output.ts";
import { readContextPolicy } from "../options/context-policies.ts";
import { checkDrafterOptions, drafterOptions } from "../options/drafting.ts";
import { withEncoder } from "../options/encoder-options.ts";
import { modelOptions, withModel } from "../options/model-options.ts";
import {
  isLoopback,
  modelName,
  serveUntilInterrupted,
} from "../serving/serve-until-interrupted.ts";
import { readServerOptions, serverOptions } from "../serving/server-options.ts";

const options = {
  ...modelOptions,
  ...drafterOptions,
  contextPolicy: {
    kind: "list",
    value: "POLICY",
    help: "let requests name this context policy in context_policy, written as in jeton run",
  },
  encoder: {
    kind: "text",
    value: "M",
    help: "also answer /v1/embeddings and /v1/rerank with this encoder: a folder or a name on the hub",
  },
  port: { ...serverOptions.port, default: 8080 },
  host: {
    kind: "text",
    value: "ADDRESS",
    default: "127.0.0.1",
    help: "address to listen on; 0.0.0.0 accepts connections from other machines",
  },
  apiKey: {
    kind: "text",
    value: "KEY",
    help: "require this API key; the environment variable JETON_API_KEY does the same and is not visible in the process list",
  },
  name: {
    kind: "text",
    value: "NAME",
    help: "name of the model in requests; default: its folder's name or hub name",
  },
  cors: {
    kind: "list",
    value: "ORIGIN",
    help: "allow web pages of this origin to use the server; * allows all",
  },
  allowHost: serverOptions.allowHost,
  slots: { ...serverOptions.slots, default: 16 },
  queue: {
    kind: "integer",
    value: "N",
    help: "maximum number of waiting requests; further ones get status 429",
  },
  maxBody: { kind: "integer", value: "BYTES", min: 1, help: "maximum size of a request body" },
  grace: {
    kind: "number",
    value: "SECONDS",
    min: 0,
    default: 30,
    help: "time that running requests have to finish after Ctrl-C",
  },
  quiet: serverOptions.quiet,
} as const satisfies Options;

export const command: Command = defineCommand({
  name: "serve",
  summary: "answer HTTP requests, OpenAI-compatible",
  description:
    "Serves an OpenAI-compatible HTTP API: /v1/models; /v1/completions, /v1/chat/completions and " +
    "/v1/responses with streaming; with --encoder /v1/embeddings and /v1/rerank; and /tokenize, /detokenize, /health and /metrics. After Ctrl-C running requests may " +
    "finish; a second Ctrl-C ends them at once.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton serve --model path/to/checkpoint --port 8080",
      shows: "a server for OpenAI clients at http://127.0.0.1:8080/v1",
    },
  ],
  async run(context, values) {
    checkDrafterOptions(values);
    for (const text of values.contextPolicy) await readContextPolicy(text);
    const { slots, inexact } = values;
    return withModel(context, values, { slots, inexact }, (model) => {
      if (values.encoder === undefined) return serve(context, values, model);
      // `--format` is the writing model's; threads are the machine's.
      const encoder = { model: values.encoder, format: undefined, threads: values.threads };
      return withEncoder(context, encoder, (opened) => serve(context, values, model, opened));
    });
  },
});

/** Serves until the first interrupt, and then lets running requests finish. */
async function serve(
  context: CommandContext,
  values: Values<typeof options>,
  model: LoadedModel,
  encoder?: LoadedEncoder,
): Promise<void> {
  const { stderr, stdout, environment } = context;
  const apiKey = values.apiKey ?? (environment["JETON_API_KEY"] || undefined);
  const name = values.name ?? modelName(model.name);
  const { startServer } = await import("../../serve/index.ts");
  const server = await startServer(model, {
    ...(await readServerOptions(context, values)),
    ...defined({ apiKey, maxQueue: values.queue, maxBodyBytes: values.maxBody }),
    modelName: name,
    ...(encoder && { encoder, encoderName: modelName(encoder.name) }),
    drafter: values.drafter,
    ...(values.contextPolicy.length > 0 && { contextPolicies: values.contextPolicy }),
    ...(values.cors.length > 0 && {
      corsOrigin: values.cors.includes("*") ? "*" : values.cors,
    }),
  });
  await serveUntilInterrupted(context, server, values.grace, async () => {
    if (values.json) {
      const { url, port } = server;
      await writeJson<ServeDocument>(stdout, { url, port, model: name });
    }
    await stderr.write(`${name} answers at ${server.url} (Ctrl-C ends)\n`);
    if (apiKey === undefined && !isLoopback(values.host)) {
      await stderr.write(
        `${stderr.style.red("warning:")} other machines can reach the server, and no API key is required\n`,
      );
    }
  });
}
