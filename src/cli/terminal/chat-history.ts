/** The lines that were typed in chats, kept across sessions in a file. */
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { writeFileAtomically } from "../../checkpoint/index.ts";

/** Typed lines, the latest first. */
export interface ChatHistory {
  readonly lines: readonly string[];
  /** Maximum number of lines. */
  readonly limit: number;
  /** Adds a line; an equal earlier one is removed. */
  add(line: string): Promise<void>;
}

const limit = 500;

/** `JETON_CACHE/chat-history`, otherwise `jeton/chat-history` in the user's state folder. */
export function historyPath(environment: Readonly<Record<string, string | undefined>>): string {
  const cache = environment["JETON_CACHE"];
  if (cache) return join(cache, "chat-history");
  const state = environment["XDG_STATE_HOME"] || join(homedir(), ".local", "state");
  return join(state, "jeton", "chat-history");
}

/**
 * Opens the history. A file that cannot be read or written is ignored: the history then lasts for the
 * session only.
 */
export async function openChatHistory(path: string): Promise<ChatHistory> {
  const written = (await readFile(path, "utf8").catch(() => "")).split("\n").flatMap(parseLine);
  let lines = [...new Set(written.reverse())].slice(0, limit);
  if (written.length > 2 * limit) {
    const kept = [...lines].reverse().map((line) => `${JSON.stringify(line)}\n`);
    await writeFileAtomically(path, kept.join("")).catch(() => undefined);
  }
  return {
    get lines() {
      return lines;
    },
    limit,
    async add(line) {
      lines = [line, ...lines.filter((other) => other !== line)].slice(0, limit);
      try {
        await mkdir(dirname(path), { recursive: true });
        await appendFile(path, `${JSON.stringify(line)}\n`, { mode: 0o600 });
      } catch {
        // Without a file the history lasts for this session.
      }
    },
  };
}

function parseLine(text: string): string[] {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? [value] : [];
  } catch {
    return [];
  }
}
