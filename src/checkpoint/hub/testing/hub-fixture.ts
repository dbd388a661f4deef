/** The repository "team/tiny" on a fake hub, and a cache that each test begins with empty. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, unlink } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { writeSafetensors, writeShardedSafetensors } from "../../safetensors/write-safetensors.ts";
import { type ResolveModelOptions, resolveModel } from "../hub.ts";
import { FakeHub } from "./fake-hub.ts";

export let root: string;
export let weights: Map<string, Buffer>;
export let sharded: Map<string, Buffer>;
export const describing = {
  "config.json": '{"model_type":"llama"}',
  "tokenizer.json": '{"model":{}}',
  "chat_template.jinja": "{{ messages }}",
};

export let hub: FakeHub;
export let home: string;
let homes = 0;
export let environment: Record<string, string>;

export const resolveTiny = (
  options: ResolveModelOptions = {},
  name = "team/tiny",
): Promise<string> => resolveModel(name, { environment, retryDelay: 5, ...options });
export const cache = (...parts: string[]): string =>
  join(home, "hub", "models--team--tiny", ...parts);
/** Names of what is left of broken downloads, and of locks. */
export async function remains(): Promise<string[]> {
  const blobs = await readdir(cache("blobs")).catch(() => []);
  const locks = await readdir(join(home, "hub", ".locks", "models--team--tiny")).catch(() => []);
  return [...blobs.filter((name) => !/^[0-9a-f]+$/.test(name)), ...locks];
}
export const sha256 = (body: Buffer): string => createHash("sha256").update(body).digest("hex");
/** Sends the first `count` bytes of what was asked for, then cuts the connection. */
export const cutAfter = (
  count: number,
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
): void => {
  const start = Number(request.headers.range?.match(/\d+/)?.[0] ?? 0);
  response.writeHead(start > 0 ? 206 : 200, {
    "content-length": body.length - start,
    ...(start > 0 && { "content-range": `bytes ${start}-${body.length - 1}/${body.length}` }),
  });
  response.write(body.subarray(start, start + count), () =>
    setTimeout(() => response.destroy(), 20),
  );
};
export const isWeights = (request: IncomingMessage): boolean =>
  request.url!.endsWith(".safetensors");

/** Starts a hub for each test of a file, with a cache of its own. */
export function useFakeHub(): void {
  beforeAll(async () => {
    root = await realpath(await mkdtemp(join(tmpdir(), "jeton-hub-")));
    const data = new Float32Array(300_000).map((_, i) => Math.sin(i));
    const folder = join(root, "source");
    await mkdir(folder);
    await writeSafetensors(join(folder, "model.safetensors"), [
      { name: "w", dtype: "F32", shape: [300, 1000], data },
    ]);
    const others = {
      "README.md": "# tiny",
      "pytorch_model.bin": "pickled",
      "onnx/model.onnx": "graph",
      "tiny.gguf": "gguf",
      "original/consolidated.safetensors": "twice",
    };
    const small = Object.entries({ ...describing, ...others }).map(
      ([name, text]): [string, Buffer] => [name, Buffer.from(text)],
    );
    weights = new Map([
      ...small,
      ["model.safetensors", await readFile(join(folder, "model.safetensors"))],
    ]);
    await unlink(join(folder, "model.safetensors"));
    await writeShardedSafetensors(
      folder,
      ["a", "b", "c"].map((name, i) => ({
        name,
        dtype: "F32",
        shape: [100_000],
        data: data.subarray(i * 100_000, (i + 1) * 100_000),
      })),
      { maxShardBytes: 400_000 },
    );
    sharded = new Map(small);
    for (const name of await readdir(folder)) sharded.set(name, await readFile(join(folder, name)));
    sharded.set("consolidated.safetensors", Buffer.from("the same weights in another form"));
  });
  afterAll(() => rm(root, { recursive: true, force: true }));
  beforeEach(async () => {
    hub = new FakeHub();
    hub.files = weights;
    await hub.start();
    home = join(root, `home-${homes++}`);
    environment = { HF_HOME: home, HF_ENDPOINT: hub.endpoint };
  });
  afterEach(() => hub.stop());
}
