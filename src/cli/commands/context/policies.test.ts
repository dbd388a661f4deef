import { describe, expect, test } from "vitest";
import { contextPolicies } from "../../../context/index.ts";
import type { ContextPoliciesDocument } from "../../json-context.ts";
import { runCommand } from "../../testing/run-command.ts";

describe("jeton context policies", () => {
  test("lists every policy, one line each", async () => {
    const { stdout, status } = await runCommand(["context", "policies"]);
    expect(status).toBe(0);
    const names = stdout.trimEnd().split("\n").slice(1);
    expect(names.map((line) => line.split(" ")[0])).toEqual(
      contextPolicies.map(({ name }) => name),
    );
  });

  test("prints the options of one, with defaults and choices", async () => {
    const { stdout } = await runCommand(["context", "policies", "h2o"]);
    expect(stdout).toMatch(/^evict +everyStep +.*\(everyStep, afterPrompt\)$/m);
    expect(stdout).toContain("drafters: refused: every token changes which keys the next one sees");
  });

  test("what --json says of an option creates the same policy as its default", async () => {
    const { stdout } = await runCommand(["context", "policies", "--json"]);
    for (const { name, options } of JSON.parse(stdout) as ContextPoliciesDocument) {
      const policy = contextPolicies.find((known) => known.name === name)!;
      const given = options.map((option) => [option.name, option.default]);
      expect(policy.create(Object.fromEntries(given)).options, name).toEqual(
        policy.create({}).options,
      );
    }
  });

  test("an unknown name is refused with the one that was meant", async () => {
    const { stderr, status } = await runCommand(["context", "policies", "token-selct"]);
    expect(status).toBe(2);
    expect(stderr).toContain("did you mean token-select? (option-value-invalid)");
  });
});
