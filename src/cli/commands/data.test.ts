import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { DataFetchDocument, DataListDocument } from "../json-output.ts";
import { runCommand } from "../testing/run-command.ts";

vi.mock("../../data/table.ts", async () => {
  const { createHash } = await import("node:crypto");
  const digest = (text: string): string => createHash("sha256").update(text).digest("hex");
  return {
    dataTable: [
      "# github.com/team/texts 0123456789abcdef0123456789abcdef01234567 | MIT",
      `${digest("one")} text/one.txt one.txt`,
      `${digest("two")} text/two.txt two.txt`,
      "# github.com/team/trees | CC0 | its sentences",
      `${digest("made")} trees/made.txt`,
    ].join("\n"),
  };
});

let root = "";
let server: Server;
let environment: Record<string, string> = {};
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "jeton-data-command-"));
  server = createServer((request, response) => {
    const name = /([a-z]+)\.txt$/.exec(request.url ?? "")?.[1];
    if (name === "two") response.writeHead(404).end();
    else response.end(name);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  environment = { JETON_CACHE: root, JETON_DATA_MIRROR: `http://127.0.0.1:${port}` };
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
  rmSync(root, { recursive: true, force: true });
});

const run = (...args: string[]) => runCommand(["data", ...args], { environment });

describe("jeton data", () => {
  test("fetch gets files into the cache folder, list says what is there", async () => {
    const before = await run("list", "--json");
    const { folder, files } = JSON.parse(before.stdout) as DataListDocument;
    expect(folder).toBe(join(root, "data"));
    expect(files.map(({ name, present }) => [name, present])).toEqual([
      ["text/one.txt", false],
      ["text/two.txt", false],
      ["trees/made.txt", false],
    ]);
    const fetched = await run("fetch", "text/one.txt", "--json");
    expect({ status: fetched.status, stderr: fetched.stderr }).toEqual({ status: 0, stderr: "" });
    const document = JSON.parse(fetched.stdout) as DataFetchDocument;
    expect(document).toMatchObject({ folder, files: [{ name: "text/one.txt", bytes: 3 }] });
    expect(readFileSync(join(folder, "text/one.txt"), "utf8")).toBe("one");
    const missing = JSON.parse((await run("list", "--missing", "--json")).stdout);
    expect(missing.files).toHaveLength(2);
    const { stdout } = await run("list", "text");
    expect(stdout).toMatch(/^present +text\/one\.txt +MIT$/m);
    expect(stdout).toMatch(/^1 of 2 in /m);
  });

  test("fetch goes on after a failure and ends with status 1", async () => {
    const { status, stdout, stderr } = await run("fetch", "text");
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("error: text/two.txt could not be downloaded");
    expect(stderr).toContain("1 already there, 1 failed");
  });

  test("a derived file is an error only where it is named", async () => {
    const named = await run("fetch", "trees/made.txt");
    expect(named.status).toBe(1);
    expect(named.stderr).toContain("made from github.com/team/trees (its sentences)");
    expect(existsSync(join(root, "data/trees"))).toBe(false);
  });

  test("an unknown name, and a word that is missing", async () => {
    expect((await run("fetch", "other", "--json")).stderr).toContain("data-unknown");
    expect((await run("lits")).stderr).toContain("did you mean list?");
    expect((await run()).status).toBe(2);
  });
});
