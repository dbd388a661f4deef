/** `jeton serve-index` and `jeton search --nats`: processes that come and go. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findNatsServer, type NatsServer, startNatsServer } from "../../transport/index.ts";
import type { SearchDocument, ServeIndexDocument } from "../json-output.ts";
import { runCommand } from "../testing/run-command.ts";

const main = fileURLToPath(new URL("../main.ts", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "jeton-serve-index-"));
afterAll(() => rmSync(root, { recursive: true }));

const write = (folder: string, name: string, text: string): void => {
  mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, folder, name), text);
};
write("first", "castle.txt", "The king lives in a castle.\n");
write("first", "horse.txt", "The queen rides a horse.\n");
write("second", "river.txt", "A river of stones; no king has seen it.\n");

const index = async (folder: string, ...paths: string[]): Promise<string> => {
  const place = join(root, `${folder}.index`);
  const sources = paths.map((path) => join(root, path));
  const { status } = await runCommand(["index", "-i", place, "--words", ...sources]);
  expect(status).toBe(0);
  return place;
};

test("mistakes are named", async () => {
  const fail = async (...args: string[]) => {
    const { status, stderr } = await runCommand(args);
    return [status, /\(([a-z-]+)\)\s*$/.exec(stderr)?.[1]];
  };
  const nats = ["--nats", "nats://127.0.0.1:1"];
  expect(await fail("serve-index")).toEqual([2, "option-missing"]);
  expect(await fail("serve-index", ...nats, "--shard", "3/2")).toEqual([2, "option-invalid"]);
  const none = join(root, "none");
  expect(await fail("serve-index", ...nats, "-i", none)).toEqual([1, "index-not-found"]);
  expect(await fail("search", "x", ...nats)).toEqual([1, "transport-unreachable"]);
  expect(await fail("search", "x", ...nats, "-i", none)).toEqual([2, "option-misplaced"]);
  expect(await fail("search", "x", "--name", "a")).toEqual([2, "option-misplaced"]);
});

const found = await findNatsServer();

// Skipped, and shown as skipped, where nats-server is not installed.
describe.skipIf(found === undefined)("on a server", () => {
  let server: NatsServer;
  let places: readonly string[] = [];
  const children: ChildProcess[] = [];
  beforeAll(async () => {
    server = await startNatsServer();
    places = [await index("first", "first"), await index("second", "second")];
  });
  afterAll(async () => {
    for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
    await server?.close();
  });

  /** A process that serves a shard, once it answers. */
  async function serve(place: string, ...args: string[]): Promise<ChildProcess> {
    const child = spawn(
      process.execPath,
      [
        "--import",
        "tsx",
        main,
        "serve-index",
        "--json",
        "-i",
        place,
        "--nats",
        server.url,
        ...args,
      ],
      {
        env: { ...process.env, JETON_NATS_TOKEN: server.token },
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    children.push(child);
    const [line] = (await once(child.stdout!.setEncoding("utf8"), "data")) as [string];
    expect(JSON.parse(line) as ServeIndexDocument).toMatchObject({ index: place, name: "index" });
    return child;
  }

  async function search(...args: string[]): Promise<SearchDocument> {
    const line = ["search", "--nats", server.url, "--json", ...args];
    const { status, stdout, stderr } = await runCommand(line, {
      environment: { JETON_NATS_TOKEN: server.token },
    });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    return JSON.parse(stdout) as SearchDocument;
  }

  const brief = ({ hits }: SearchDocument) => hits.map(({ id, score }) => [id, score]);

  test("two shards answer as one index; a killed replica is replaced, a killed shard is named", async () => {
    const whole = await index("whole", "first", "second");
    const { stdout } = await runCommand(["search", "-i", whole, "king castle", "--json"]);
    const expected = brief(JSON.parse(stdout) as SearchDocument);
    const [replica, , last] = await Promise.all([
      serve(places[0]!, "--shard", "1/2"),
      serve(places[0]!, "--shard", "1/2"),
      serve(places[1]!, "--shard", "2/2"),
    ]);
    const answer = await search("king castle", "--explain");
    expect(answer).toMatchObject({ index: "index", records: 3, lost: [] });
    expect(brief(answer)).toEqual(expected);
    expect(answer.hits[0]!.snippet.highlights).toHaveLength(2);
    replica.kill("SIGKILL");
    await once(replica, "exit");
    for (let i = 0; i < 4; i++) expect(brief(await search("king castle"))).toEqual(expected);
    last.kill("SIGINT");
    expect(await once(last, "exit")).toEqual([0, null]);
    const rest = await search("king");
    expect(rest.lost).toMatchObject([{ shard: 2, code: "transport-no-responder" }]);
    expect(rest).toMatchObject({ records: 2 });
    const people = await runCommand(["search", "--nats", server.url, "king"], {
      environment: { JETON_NATS_TOKEN: server.token },
    });
    expect(people.stderr).toContain("warning: shard 2 is missing from this answer");
  });

  test("what jeton index changes is found a moment later", async () => {
    await serve(places[1]!, "--name", "index", "--shard", "2/2", "--reload", "0.05");
    write("second", "dragon.txt", "A dragon.\n");
    await index("second", "second");
    while ((await search("dragon")).hits.length === 0);
  });

  test("a server that ends is an error", async () => {
    const child = await serve(places[0]!, "--shard", "1/2");
    // The process may end before the server has.
    const exited = once(child, "exit");
    await server.close();
    expect(await exited).toEqual([1, null]);
  });
});
