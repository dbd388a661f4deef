/** Options of every command that serves, and what the server is told of them. */
import type { StartServerOptions } from "../../serve/index.ts";
import { defined, type Values } from "../command.ts";
import type { CommandContext } from "../context.ts";
import { locateModel } from "../options/locate.ts";

/** Each command adds `host` in its own words, and defaults of `port` and `slots`. */
export const serverOptions = {
  port: {
    kind: "integer",
    short: "p",
    value: "PORT",
    max: 65535,
    help: "port to listen on; 0 chooses a free port",
  },
  allowHost: {
    kind: "list",
    value: "NAME",
    help: "accept requests for this host name too, besides IP addresses and localhost",
  },
  slots: {
    kind: "integer",
    value: "N",
    min: 1,
    help: "maximum number of sequences that are generated at once",
  },
  quiet: { kind: "flag", short: "q", help: "do not log requests on standard error" },
} as const;

type ServerValues = Pick<Values<typeof serverOptions>, "allowHost" | "quiet"> & {
  readonly port: number;
  readonly host: string;
  readonly draftModel: string | undefined;
};

/** The part of the server's options that the commands have in common; a draft model on the hub is downloaded. */
export async function readServerOptions(
  context: CommandContext,
  { port, host, draftModel, allowHost, quiet }: ServerValues,
): Promise<Pick<StartServerOptions, "port" | "host" | "draftModel" | "allowedHosts" | "onLog">> {
  return {
    port,
    host,
    ...defined({ draftModel: draftModel && (await locateModel(context, draftModel)) }),
    ...(allowHost.length > 0 && { allowedHosts: allowHost }),
    ...(!quiet && { onLog: (line: string) => void context.stderr.write(`${line}\n`) }),
  };
}
