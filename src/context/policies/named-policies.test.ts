import { expect, test } from "vitest";
import type { PolicyOptions } from "../../model/index.ts";
import { codeOf } from "../../testing/code-of.ts";
import {
  contextPolicies,
  createContextPolicy,
  formatContextPolicy,
  parseContextPolicy,
} from "./index.ts";

test("a policy is written on one line, and read again", () => {
  const policy = parseContextPolicy("token-select:k=512,cache=0.9,vote=hard");
  expect(policy.options).toMatchObject({ init: 128, k: 512, cache: 0.9, vote: "hard" });
  expect(formatContextPolicy(policy)).toBe("token-select:k=512,cache=0.9,vote=hard");
  expect(formatContextPolicy(parseContextPolicy("sinks-window:selfInWindow=false"))).toBe(
    "sinks-window:selfInWindow=false",
  );
  for (const { name, create } of contextPolicies) {
    expect(formatContextPolicy(create({}))).toBe(name);
  }
});

test.each([
  ["tokenselect", "context-policy-unknown", "did you mean token-select?"],
  ["magic", "context-policy-unknown", "expected one of full, token-select"],
  ["token-select:k", "context-policy-option", "option=value"],
  ["token-select:kk=3", "context-policy-option", "token-select has no option kk; did you mean k?"],
  ["full:magic=3", "context-policy-option", "full has no option magic; it has none"],
  ["token-select:k=0", "context-policy-option", "an integer from 1"],
  ["ntk:scale=Infinity", "context-policy-option", "scale is Infinity, expected a number from 1"],
  ["snapkv:__proto__=1", "context-policy-option", "snapkv has no option __proto__"],
  ["token-select:k=2.5", "context-policy-option", "an integer from 1"],
  ["token-select:pool=2", "context-policy-option", "an odd integer"],
  ["token-select:vote=loud", "context-policy-option", "soft or hard or sum"],
  ["sinks-window:selfInWindow=1", "context-policy-option", "true or false"],
  ["longheads:chunk=64,length=100", "context-policy-option", "a multiple of chunk (64)"],
  ["snapkv:k=8,window=9", "context-policy-option", "at most k (8)"],
  ["gemfilter:k=4,keepFirst=5", "context-policy-option", "at most k (4)"],
  ["h2o:k=64,recent=8,k=32", "context-policy-option", "the option k is given twice"],
])("%s is refused", (text, code, expected) => {
  expect(() => parseContextPolicy(text)).toThrow(expect.objectContaining({ code }));
  expect(() => parseContextPolicy(text)).toThrow(expected);
});

test("what is no name, no text and no options is refused", async () => {
  for (const wrong of [5, null, undefined, {}] as unknown as string[]) {
    expect(await codeOf(() => createContextPolicy(wrong))).toBe("context-policy-unknown");
    expect(await codeOf(() => parseContextPolicy(wrong))).toBe("context-policy-unknown");
  }
  for (const options of [null, [1], "k", { k: null }] as unknown as PolicyOptions[]) {
    const create = () => createContextPolicy("snapkv", options);
    expect(await codeOf(create)).toBe("context-policy-option");
  }
});

test("options of the wrong type are refused", () => {
  expect(() => createContextPolicy("h2o", { k: "many" })).toThrow(
    expect.objectContaining({ code: "context-policy-option" }),
  );
});
