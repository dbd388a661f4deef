/** `jeton studio`: the page with the published systems and a lens on every token. */
import type { LoadedModel } from "../../model/types.ts";
import { type Command, defineCommand, type Options, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { type ServeDocument, writeJson } from "../json-output.ts";
import { modelOptions, withModel } from "../options/model-options.ts";
import { isLoopback, modelName, serveUntilInterrupted } from "./serve-until-interrupted.ts";
import { readServerOptions, serverOptions } from "./server-options.ts";

const options = {
  ...modelOptions,
  draftModel: {
    kind: "text",
    value: "M",
    help: "a smaller model with the same tokenizer for the drafters that need one; default: the folder M-draft beside the model M, if it exists",
  },
  port: { ...serverOptions.port, default: 8700 },
  host: {
    kind: "text",
    value: "ADDRESS",
    default: "127.0.0.1",
    help: "address to listen on; other machines reach the page at 0.0.0.0",
  },
  allowHost: serverOptions.allowHost,
  slots: { ...serverOptions.slots, default: 4 },
  quiet: serverOptions.quiet,
} as const satisfies Options;

export const command: Command = defineCommand({
  name: "studio",
  summary: "a page: the published systems, and a lens on every token",
  description:
    "Serves a page on this machine: the published systems as a feed, each with its recorded measurement and a " +
    "demonstration, and a lens that shows a text token by token as the model writes it. The same process " +
    "answers the requests of jeton serve.",
  positionals: [],
  options,
  examples: [
    { line: "jeton studio", shows: "the page of the bundled model at http://127.0.0.1:8700" },
  ],
  async run(context, values) {
    return withModel(context, values, { slots: values.slots }, (model) =>
      serve(context, values, model),
    );
  },
});

async function serve(
  context: CommandContext,
  values: Values<typeof options>,
  model: LoadedModel,
): Promise<void> {
  const { stderr, stdout } = context;
  const name = modelName(model.name);
  const { startServer } = await import("../../serve/index.ts");
  const server = await startServer(model, {
    ...(await readServerOptions(context, values)),
    modelName: name,
    studio: true,
  });
  await serveUntilInterrupted(context, server, 0, async () => {
    const { url, port } = server;
    if (values.json) await writeJson<ServeDocument>(stdout, { url, port, model: name });
    await stderr.write(`open ${url} in a browser (Ctrl-C ends)\n`);
    if (!isLoopback(values.host)) {
      await stderr.write(
        `${stderr.style.red("warning:")} other machines can reach the page, and no key is required\n`,
      );
    }
  });
}
