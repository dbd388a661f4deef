/** 1. The filter of pasted text, for any cut into chunks. 2. The editor on streams. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { openChatHistory } from "./chat-history.ts";
import { createLineEditor, createPasteFilter } from "./line-editor.ts";

const root = mkdtempSync(join(tmpdir(), "jeton-editor-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const paste = (text: string): string => `\u001b[200~${text}\u001b[201~`;

describe("pasted text", () => {
  test("line breaks become one symbol, marks and control characters vanish, typed text stays", () => {
    const filter = createPasteFilter();
    expect(filter(`say ${paste("a\r\nb\rc\nd\u0003")}!\r`)).toBe("say a␤b␤c␤d!\r");
    expect(filter("\u001b[A")).toBe("\u001b[A");
  });

  test("chunks may be cut anywhere", () => {
    const text = Buffer.from(`é${paste("zwei\nZeilen ü")}x\r`);
    fc.assert(
      fc.property(fc.array(fc.nat(text.length)), (cuts) => {
        const filter = createPasteFilter();
        const places = [0, ...cuts.sort((a, b) => a - b), text.length];
        const parts = places.slice(1).map((end, at) => filter(text.subarray(places[at]!, end)));
        // A mark that is cut after its first character cannot be told from the Escape key.
        if (cuts.some((cut) => text[cut - 1] === 0x1b && cut < 10)) return;
        expect(parts.join("")).toBe("ézwei␤Zeilen üx\r");
      }),
    );
  });
});

async function edit(name: string) {
  const input = new PassThrough();
  const output = new PassThrough();
  let shown = "";
  output.setEncoding("utf8").on("data", (text: string) => {
    shown += text;
  });
  const history = await openChatHistory(join(root, name));
  const controller = new AbortController();
  const ask = createLineEditor({ input, output, history, signal: controller.signal });
  /** Types keys after the prompt has been shown. */
  const type = async (keys: string): Promise<string | undefined> => {
    const line = ask();
    input.write(keys);
    return line;
  };
  return { input, ask, type, controller, shown: () => shown };
}

describe("the line editor", () => {
  test("a line, then pasted lines as one message", async () => {
    const { type, shown } = await edit("lines");
    expect(await type("hello\r")).toBe("hello");
    expect(await type(`say ${paste("one\ntwo\n")}\r`)).toBe("say one\ntwo\n");
    expect(shown()).toContain("\u001b[?2004h");
    expect(shown().trimEnd().endsWith("\u001b[?2004l")).toBe(true);
  });

  test("Ctrl-C clears a line; twice on an empty line leaves", async () => {
    const { type, shown } = await edit("interrupts");
    expect(await type("unwanted\u0003wanted\r")).toBe("wanted");
    expect(await type("\u0003still here\r")).toBe("still here");
    expect(shown()).toContain("Ctrl-C again");
    expect(await type("\u0003\u0003")).toBeUndefined();
  });

  test("Ctrl-D, the end of the input and an abort leave", async () => {
    const { type } = await edit("end");
    expect(await type("\u0004")).toBeUndefined();
    const closed = await edit("closed");
    const line = closed.ask();
    closed.input.end();
    expect(await line).toBeUndefined();
    const aborted = await edit("aborted");
    const waiting = aborted.ask();
    aborted.controller.abort();
    expect(await waiting).toBeUndefined();
  });

  test("the history lasts across sessions, the latest line first", async () => {
    const first = await edit("history");
    await first.type("older\r");
    await first.type("newer\r");
    await first.type("older\r");
    const second = await edit("history");
    expect(await second.type("\u001b[A\r")).toBe("older");
    expect(await second.type("\u001b[A\u001b[A\r")).toBe("newer");
    const written = readFileSync(join(root, "history"), "utf8").trim().split("\n");
    expect(written.slice(0, 3)).toEqual(['"older"', '"newer"', '"older"']);
  });

  test("lines that arrive together are answered one by one", async () => {
    const { type, ask } = await edit("together");
    expect(await type("a\rb\r")).toBe("a");
    expect(await ask()).toBe("b");
  });
});
