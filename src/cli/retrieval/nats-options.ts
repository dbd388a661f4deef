/** Options of the commands that find each other on a NATS server. */
import type { Transport } from "../../transport/index.ts";
import { defined, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";

/** Name of an index without `--name`. */
export const defaultIndexName = "index";

export const natsOptions = {
  natsToken: {
    kind: "text",
    value: "TOKEN",
    help: "the NATS server's token; the environment variable JETON_NATS_TOKEN does the same and is not visible in the process list",
  },
  name: {
    kind: "text",
    value: "NAME",
    help: "name of the index on the server; default: index",
  },
} as const;

/** Connects to the server. @throws JetonError those of `connectTransport` */
export async function connectNats(
  { environment }: CommandContext,
  url: string,
  { natsToken }: Pick<Values<typeof natsOptions>, "natsToken">,
): Promise<Transport> {
  const { connectTransport } = await import("../../transport/index.ts");
  const token = natsToken ?? (environment["JETON_NATS_TOKEN"] || undefined);
  return connectTransport({ url, ...defined({ token }) });
}
