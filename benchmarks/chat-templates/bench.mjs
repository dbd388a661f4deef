/**
 * Rendering of long chats: processor time, in milliseconds per 1,000 tokens of the messages, for each published
 * template of the data folder, beside the limit of 1 ms that we set ourselves or, with `--beside`, beside another
 * build.
 *
 *     npm run bench -- chat-templates [--json] [--beside FOLDER] [--runs 7] [--show 12]
 *
 * Two chats: 64 short turns and 6 long ones, of about 8,000 tokens each. A template counts with the slower one. The
 * first rendering compiles the template and does not count. The slowest templates are shown; `--json` has all.
 * JETON_DATA must name the data folder.
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { importJeton } from "../import-jeton.mjs";
import { describeMachine, formatTable, makeRow, median } from "../report.mjs";

export const description = "rendering of long chats by published chat templates";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** What of a tokenizer a template sees. */
function tokenizerOf({ template, tokens = {} }) {
  return {
    settings: {
      chatTemplates: new Map([["default", template]]),
      bosToken: tokens.bos_token,
      eosToken: tokens.eos_token,
      padToken: tokens.pad_token,
      unkToken: tokens.unk_token,
    },
    idToToken: () => undefined,
    bosTokenId: undefined,
    eosTokenId: undefined,
  };
}

const sentence =
  "The emperor gave the tribune a list of 27 names, and “none of them” was his own.\n";

function makeChat(turns, sentences) {
  return Array.from({ length: turns }, (_, turn) => ({
    role: turn % 2 === 0 ? "user" : "assistant",
    content: `${turn}. ${sentence.repeat(sentences)}`,
  }));
}

const chats = { "64 turns": makeChat(64, 6), "6 turns": makeChat(6, 64) };

/** Milliseconds of processor time of each of several renderings; undefined for a template that refuses the chat. */
function measure(renderChat, tokenizer, messages, runs) {
  const options = { addGenerationPrompt: false, now: new Date(2026, 2, 5) };
  try {
    renderChat(tokenizer, messages, options);
    return Array.from({ length: runs }, () => {
      const started = process.cpuUsage();
      renderChat(tokenizer, messages, options);
      const { user, system } = process.cpuUsage(started);
      return (user + system) / 1000;
    });
  } catch {
    return undefined;
  }
}

/** @param {{ json: boolean, args: string[] }} options */
export async function run({ json, args }) {
  const { values } = parseArgs({
    args,
    options: {
      beside: { type: "string" },
      runs: { type: "string", default: "7" },
      show: { type: "string", default: "12" },
    },
  });
  const data = process.env.JETON_DATA;
  if (data === undefined) throw new Error("JETON_DATA must name the data folder");
  const { loadTokenizer, renderChat } = await importJeton("tokenizer");
  const other =
    values.beside === undefined
      ? undefined
      : await import(pathToFileURL(join(resolve(values.beside), "dist/tokenizer/index.js")).href);
  const counter = await loadTokenizer(join(root, "models/jeton-nano"));
  const lines = readFileSync(join(data, "chat-templates/templates.jsonl"), "utf8");
  const perThousand = Object.fromEntries(
    Object.entries(chats).map(([name, messages]) => {
      const tokens = messages.map(({ content }) => counter.countTokens(content));
      return [name, 1000 / tokens.reduce((sum, count) => sum + count, 0)];
    }),
  );
  const rows = [];
  for (const line of lines.trimEnd().split("\n")) {
    const template = JSON.parse(line);
    const tokenizer = tokenizerOf(template);
    let slowest;
    for (const [name, messages] of Object.entries(chats)) {
      const runs = Number(values.runs);
      const times = (render) =>
        measure(render, tokenizer, messages, runs)?.map((time) => time * perThousand[name]);
      const ours = times(renderChat);
      if (ours === undefined) continue;
      const peer = other ? (times(other.renderChat) ?? []) : [1];
      if (slowest === undefined || median(ours) > median(slowest.ours))
        slowest = { name, ours, peer };
    }
    if (slowest === undefined) continue;
    rows.push(
      makeRow({
        name: `${template.id}, ${slowest.name}`,
        ours: slowest.ours,
        peer: slowest.peer,
        peerName: other ? "the other build" : "limit",
        unit: "ms per 1,000 tokens",
        lowerIsBetter: true,
      }),
    );
  }
  rows.sort((a, b) => b.ours - a.ours);
  if (!json) {
    const above = rows.filter(({ ours }) => ours > 1).length;
    console.log(formatTable(rows.slice(0, Number(values.show))));
    console.log(`${rows.length} templates, ${above} of them above 1 ms per 1,000 tokens`);
    console.log(describeMachine());
  }
  return rows;
}
