/** All context policies by name, and how they are written on one line. */
import { JetonError, suggest } from "../../core/index.ts";
import type { ContextPolicy, PolicyOptions } from "../../model/index.ts";
import { gemFilterPolicy } from "../gemfilter/gemfilter.ts";
import { landmarkPolicy } from "../landmark-attention/landmark-attention.ts";
import { longHeadsPolicy } from "../longheads/longheads.ts";
import { tokenSelectPolicy } from "../token-select/token-select.ts";
import { blockSelectionPolicy } from "./block-selection.ts";
import type { NamedPolicy } from "./define-policy.ts";
import { fullAttentionPolicy } from "./full-attention.ts";
import { h2oPolicy } from "./h2o.ts";
import { ntkRopePolicy } from "./ntk-rope.ts";
import { sinksWindowPolicy } from "./sinks-window.ts";
import { snapKvPolicy } from "./snapkv.ts";
import { topKAttentionPolicy } from "./top-k-attention.ts";
import { truncatePolicy } from "./truncate.ts";

/** Every context policy that has a name. */
export const contextPolicies: readonly NamedPolicy[] = [
  fullAttentionPolicy,
  tokenSelectPolicy,
  longHeadsPolicy,
  gemFilterPolicy,
  landmarkPolicy,
  truncatePolicy,
  sinksWindowPolicy,
  blockSelectionPolicy,
  snapKvPolicy,
  h2oPolicy,
  topKAttentionPolicy,
  ntkRopePolicy,
];

/**
 * A policy by its name and options.
 *
 * @throws JetonError `context-policy-unknown`, `context-policy-option`
 */
export function createContextPolicy(name: string, options: PolicyOptions = {}): ContextPolicy {
  const policy = contextPolicies.find((known) => known.name === name);
  if (policy) return policy.create(options);
  const names = contextPolicies.map((known) => known.name);
  const meant = typeof name === "string" ? suggest(name, names) : undefined;
  throw new JetonError(
    `there is no context policy ${JSON.stringify(name)}` +
      (meant === undefined ? `, expected one of ${names.join(", ")}` : `; did you mean ${meant}?`),
    { code: "context-policy-unknown", details: { found: name, expected: names } },
  );
}

/**
 * Reads a policy as it is written on a command line: `NAME` or `NAME:option=value,…`, e.g.
 * `token-select:k=1024,cache=0.9`.
 *
 * @throws JetonError `context-policy-unknown`, `context-policy-option`
 */
export function parseContextPolicy(text: string): ContextPolicy {
  if (typeof text !== "string") return createContextPolicy(text);
  const at = text.indexOf(":");
  const name = (at < 0 ? text : text.slice(0, at)).trim();
  const list = at < 0 ? "" : text.slice(at + 1).trim();
  const options = new Map<string, string | number | boolean>();
  for (const item of list === "" ? [] : list.split(",")) {
    const [key, value, ...more] = item.split("=").map((part) => part.trim());
    if (!key || value === undefined || value === "" || more.length > 0) {
      throw new JetonError(
        `${name}: ${JSON.stringify(item)} is no option, expected option=value with commas between them`,
        {
          code: "context-policy-option",
          details: { policy: name, found: item, expected: "option=value" },
        },
      );
    }
    if (options.has(key)) {
      throw new JetonError(`${name}: the option ${key} is given twice, expected once`, {
        code: "context-policy-option",
        details: { policy: name, option: key, found: text, expected: "each option once" },
      });
    }
    options.set(key, parseValue(value));
  }
  return createContextPolicy(name, Object.fromEntries(options));
}

function parseValue(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  const number = Number(text);
  return Number.isNaN(number) ? text : number;
}

/** A policy as one line that `parseContextPolicy` reads, with the options that are not the defaults. */
export function formatContextPolicy({ name, options }: ContextPolicy): string {
  const table = contextPolicies.find((known) => known.name === name)?.options ?? {};
  const said = Object.entries(options).filter(([key, value]) => table[key]?.default !== value);
  const list = said.map(([key, value]) => `${key}=${value}`).join(",");
  return list === "" ? name : `${name}:${list}`;
}
