/** `jeton serve-index`: answers searches of an index, or of one shard of it, on NATS. */
import { JetonError } from "../../core/error.ts";
import type { SearchIndex, ShardService } from "../../retrieve/index.ts";
import type { Transport } from "../../transport/index.ts";
import { type Command, defineCommand, type Options, UsageError, type Values } from "../command.ts";
import { indexOption } from "../commands/index-files.ts";
import type { CommandContext } from "../context.ts";
import { type ServeIndexDocument, writeJson } from "../json-output.ts";
import { connectNats, defaultIndexName, natsOptions } from "../retrieval/nats-options.ts";
import { defaultIndexFolder, openForReading } from "../retrieval/searched-index.ts";
import { serveUntilInterrupted } from "./serve-until-interrupted.ts";

const options = {
  index: indexOption,
  nats: {
    kind: "text",
    value: "URL",
    help: "address of the NATS server, e.g. nats://127.0.0.1:4222",
  },
  ...natsOptions,
  shard: {
    kind: "text",
    value: "I/N",
    default: "1/1",
    help: "this folder holds shard I of the N that make the index",
  },
  reload: {
    kind: "number",
    value: "SECONDS",
    min: 0,
    default: 2,
    help: "how often to look whether jeton index has changed the folder; 0 never looks",
  },
  grace: {
    kind: "number",
    value: "SECONDS",
    min: 0,
    default: 10,
    help: "time that running searches have to finish after Ctrl-C",
  },
} as const satisfies Options;

export const command: Command = defineCommand({
  name: "serve-index",
  summary: "answer searches of an index, or of a shard, on NATS",
  description:
    "Connects to a NATS server and answers jeton search --nats from an index that jeton index made. The records of a large " +
    "index are divided among shards: a folder for each, made from different files on as many machines. Processes that " +
    "serve the same shard are replicas; each search asks one of them, and another one if it fails. Answers are those of " +
    "one index of all records. Changes of the folder are answered from a moment later.",
  positionals: [],
  options,
  examples: [
    {
      line: "jeton serve-index --nats nats://127.0.0.1:4222 --shard 1/2",
      shows: "the first of two shards, until Ctrl-C",
    },
  ],
  async run(context, values) {
    if (values.nats === undefined) {
      throw new UsageError("option-missing", "--nats is missing: where is the NATS server?", {
        option: "--nats",
        expected: "an address, e.g. nats://127.0.0.1:4222",
      });
    }
    const place = parseShard(values.shard);
    const folder = values.index ?? defaultIndexFolder;
    const { serveShard } = await import("../../retrieve/index.ts");
    const index = await openForReading(folder);
    const current = { index };
    try {
      const transport = await connectNats(context, values.nats, values);
      try {
        const name = values.name ?? defaultIndexName;
        const service = serveShard(transport, index, { name, ...place });
        await transport.flush();
        await serve(context, values, { transport, service, current, folder, place, name });
      } finally {
        await transport.close();
      }
    } finally {
      await current.index.close();
    }
  },
});

interface Serving {
  readonly transport: Transport;
  readonly service: ShardService;
  readonly current: { index: SearchIndex };
  readonly folder: string;
  readonly place: { readonly shard: number; readonly shards: number };
  readonly name: string;
}

async function serve(
  context: CommandContext,
  values: Values<typeof options>,
  serving: Serving,
): Promise<void> {
  const { stdout, stderr } = context;
  const { transport, service, current, folder, place, name } = serving;
  let isEnding = false;
  const ended = new AbortController();
  const reloading = reloadChanges(context, values.reload, serving, ended.signal);
  const lost = transport.closed().then(() => {
    if (isEnding) return;
    throw new JetonError(`the connection to ${values.nats} has ended`, {
      code: "transport-closed",
      details: { url: values.nats },
    });
  });
  const close = async ({ graceMs = 0 } = {}): Promise<void> => {
    isEnding = true;
    await service.close({ graceMs });
  };
  const announce = async (): Promise<void> => {
    const { replica } = service;
    const records = current.index.size;
    if (values.json) {
      const document = { index: folder, name, ...place, records, replica };
      await writeJson<ServeIndexDocument>(stdout, document);
    }
    const { shard, shards } = place;
    await stderr.write(
      `shard ${shard}/${shards} of ${name}: ${records} passages of ${folder} (Ctrl-C ends)\n`,
    );
  };
  try {
    const served = serveUntilInterrupted(context, { close }, values.grace, announce);
    await Promise.race([served, lost]);
  } finally {
    isEnding = true;
    ended.abort();
    await reloading;
  }
}

/** Opens the index again whenever its folder has changed, until the signal. */
async function reloadChanges(
  { stderr }: CommandContext,
  seconds: number,
  { service, current, folder }: Serving,
  signal: AbortSignal,
): Promise<void> {
  const { readIndexVersion } = await import("../../retrieve/store/manifest.ts");
  const { setTimeout: wait } = await import("node:timers/promises");
  let version = await readIndexVersion(folder);
  while (seconds > 0 && !signal.aborted) {
    await wait(seconds * 1000, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    try {
      const found = await readIndexVersion(folder);
      if (found === version) continue;
      const fresh = await openForReading(folder);
      version = found;
      const old = current.index;
      current.index = fresh;
      await service.replace(fresh);
      await old.close();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      await stderr.write(`${stderr.style.red("warning:")} not read again: ${reason}\n`);
    }
  }
}

function parseShard(text: string): { shard: number; shards: number } {
  const [, shard, shards] = /^(\d+)\/(\d+)$/.exec(text)?.map(Number) ?? [];
  if (shard === undefined || shards === undefined || shard < 1 || shard > shards) {
    throw new UsageError("option-invalid", `--shard ${text}: expected I/N, e.g. 1/2`, {
      option: "--shard",
      found: text,
      expected: "I/N with I from 1 to N",
    });
  }
  return { shard, shards };
}
