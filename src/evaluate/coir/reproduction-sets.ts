/** Small sets of the benchmark's kinds, made from CoSQA's development part and concode's. None of them is CoIR. */
import { createRandom } from "../../core/index.ts";
import type { CoirSet, CoirText } from "./tasks.ts";

interface CosqaEntry {
  readonly idx: string;
  readonly doc: string;
  readonly code: string;
  readonly label: number;
}

const docstring = /("""|''')([\s\S]*?)\1/;

/** A Python function without its first docstring. */
export function removeDocstring(code: string): string {
  return code.replace(docstring, "");
}

interface CosqaOptions {
  readonly name?: string;
  readonly withDocstrings?: boolean;
  readonly keepCopies?: boolean;
}

/** Web query to Python function; functions with the same text are one, unless `keepCopies`. */
export function makeCosqaSet(json: string, options: CosqaOptions = {}): CoirSet {
  const { name = "mini-cosqa", withDocstrings = true, keepCopies = false } = options;
  const entries = JSON.parse(json) as CosqaEntry[];
  const first = new Map<string, string>();
  for (const { idx, code } of entries) if (!first.has(code)) first.set(code, idx);
  const kept = keepCopies ? entries : entries.filter(({ idx, code }) => first.get(code) === idx);
  const positive = entries.filter(({ label }) => label === 1);
  return {
    name,
    documents: kept.map(({ idx, code }) => ({
      id: idx,
      text: withDocstrings ? code : removeDocstring(code),
    })),
    queries: positive.map(({ idx, doc }) => ({ id: `q-${idx}`, text: doc })),
    judgments: new Map(
      positive.map(({ idx, code }) => [
        `q-${idx}`,
        new Map([[keepCopies ? idx : first.get(code)!, 1]]),
      ]),
    ),
  };
}

/** First part of a function, 40 to 70 % of its lines, to the rest. */
export function makeContinuationSet(json: string, seed: number): CoirSet {
  const parts = listFunctions(json).flatMap(({ id, text }) => {
    const lines = text.split("\n");
    if (lines.length < 4) return [];
    const share = 0.4 + 0.3 * createRandom(seed, "cut", id).uniform();
    const at = Math.min(lines.length - 1, Math.max(1, Math.round(share * lines.length)));
    return [{ id, query: lines.slice(0, at).join("\n"), document: lines.slice(at).join("\n") }];
  });
  return makePairs("mini-ccr", parts);
}

/** Function without its docstring to the docstring. */
export function makeCommentSet(json: string): CoirSet {
  const parts = listFunctions(json).flatMap(({ id, text }) => {
    const comment = docstring.exec(text)?.[2]?.trim();
    return comment ? [{ id, query: removeDocstring(text), document: comment }] : [];
  });
  return makePairs("mini-code-to-text", parts);
}

/** Description with the class's members to a Java method. */
export function makeConcodeSet(lines: string, most: number): CoirSet {
  const entries = lines
    .trimEnd()
    .split("\n")
    .slice(0, most)
    .map((line) => JSON.parse(line) as { nl: string; code: string });
  const parts = entries.map(({ nl, code }, i) => ({
    id: String(i),
    query: nl.replace(/concode_(?:field|elem)_sep/g, " "),
    document: code,
  }));
  return makePairs("mini-concode", parts);
}

function listFunctions(json: string): CoirText[] {
  const entries = JSON.parse(json) as CosqaEntry[];
  const codes = [...new Set(entries.map(({ code }) => code))];
  return codes.map((text, i) => ({ id: String(i), text }));
}

function makePairs(
  name: string,
  parts: readonly { readonly id: string; readonly query: string; readonly document: string }[],
): CoirSet {
  return {
    name,
    documents: parts.map(({ id, document }) => ({ id: `d-${id}`, text: document })),
    queries: parts.map(({ id, query }) => ({ id: `q-${id}`, text: query })),
    judgments: new Map(parts.map(({ id }) => [`q-${id}`, new Map([[`d-${id}`, 1]])])),
  };
}
