/**
 * Writes the tables of request fields in docs/server.md from the sources:
 *
 *     node --import tsx scripts/server-fields.mjs [--check]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fieldNotes } from "../src/serve/requests/field-notes.ts";
import { listForeignFields } from "../src/serve/requests/judge-field.ts";
import { otherFields } from "../src/serve/requests/other-fields.ts";

const document = fileURLToPath(new URL("../docs/server.md", import.meta.url));
const begin = "<!-- fields: node --import tsx scripts/server-fields.mjs -->";
const end = "<!-- end of fields -->";
const paths = {
  completion: "/v1/completions",
  chat: "/v1/chat/completions",
  responses: "/v1/responses",
};

const code = (text) => `\`${text}\``;
const table = (heads, rows) =>
  [heads, heads.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");

/** Names that all endpoints obey with the same note. */
function sharedNames() {
  const [first, ...others] = Object.values(fieldNotes);
  return Object.keys(first).filter((name) => others.every((notes) => notes[name] === first[name]));
}

function obeyedTables() {
  const shared = sharedNames();
  const rows = (names, notes) => names.map((name) => [code(name), notes[name]]);
  return [
    "### Fields of every endpoint that generates",
    table(["field", "what it does"], rows(shared, fieldNotes.completion)),
    ...Object.entries(fieldNotes).flatMap(([kind, notes]) => {
      const own = Object.keys(notes).filter((name) => !shared.includes(name));
      const foreign = listForeignFields(kind).map(code).join(", ");
      return [
        `### Fields of \`${paths[kind]}\``,
        table(["field", "what it does"], rows(own, notes)),
        `Refused here, because other endpoints obey them: ${foreign}.`,
      ];
    }),
  ];
}

function otherTables() {
  const ofKind = (kind) =>
    Object.entries(otherFields)
      .filter(([, rule]) => rule.kind === kind)
      .map(([name, rule]) => [
        code(name),
        rule.why,
        ...(rule.neutral === undefined ? [] : [writeNeutral(rule.neutral)]),
      ]);
  return [
    "### Fields of other servers",
    "Refused with status 400 and code `unsupported_parameter`, because the answer would differ:",
    table(["field", "why", "accepted"], ofKind("refuse")),
    "Without effect on the text, and named in `warnings`:",
    table(["field", "why", "without a warning"], ofKind("warn")),
    "Accepted, since there is nothing to do:",
    table(["field", "why"], ofKind("inert")),
  ];
}

function writeNeutral(neutral) {
  if (neutral === "empty") return "anything empty";
  return neutral.map((value) => code(JSON.stringify(value))).join(", ");
}

/** The document with the tables of today. */
export function formatServerDocument(text = readFileSync(document, "utf8")) {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error("docs/server.md has no place for the tables");
  const tables = [...obeyedTables(), ...otherTables()].join("\n\n");
  return `${text.slice(0, from)}${begin}\n\n${tables}\n\n${text.slice(to)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = formatServerDocument();
  if (!process.argv.includes("--check")) writeFileSync(document, text);
  else if (readFileSync(document, "utf8") !== text) {
    console.error("docs/server.md is out of date: run node --import tsx scripts/server-fields.mjs");
    process.exitCode = 1;
  }
}
