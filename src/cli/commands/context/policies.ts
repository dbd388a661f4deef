/** `jeton context policies`: the context policies, and the options of one of them. */
import type { NamedPolicy, PolicyOption } from "../../../context/index.ts";
import { formatTable } from "../../../core/table.ts";
import { type Command, defineCommand } from "../../command.ts";
import type { ContextPoliciesDocument } from "../../json-context.ts";
import { writeJson } from "../../json-output.ts";
import { readPolicy } from "../../options/context-policies.ts";

export const command: Command = defineCommand({
  name: "context policies",
  summary: "list the context policies, or the options of one",
  description:
    "Lists the context policies, which choose the cached tokens that each layer attends to. With NAME, prints the options of " +
    "that policy, their defaults, and whether it runs with drafters.",
  positionals: [{ name: "NAME" }],
  options: {},
  examples: [{ line: "jeton context policies token-select", shows: "what token-select:… may say" }],
  async run({ stdout }, { json }, [name]) {
    const { contextPolicies, createContextPolicy } = await import("../../../context/index.ts");
    if (name !== undefined) readPolicy("NAME", name, createContextPolicy);
    const chosen = contextPolicies.filter((policy) => name === undefined || policy.name === name);
    if (json) return writeJson<ContextPoliciesDocument>(stdout, chosen.map(describe));
    const { dim } = stdout.style;
    if (name === undefined) {
      const columns = [{ title: "policy" }, { title: "attends to" }];
      const rows = chosen.map((policy) => [policy.name, policy.summary]);
      return stdout.write(`${formatTable(columns, rows, { styleHeading: dim })}\n`);
    }
    const { summary, options, drafters } = describe(chosen[0]!);
    const columns = [{ title: "option" }, { title: "default" }, { title: "" }];
    const rows = options.map((option) => [
      option.name,
      String(option.default),
      option.choices === undefined ? option.help : `${option.help} (${option.choices.join(", ")})`,
    ]);
    const table =
      rows.length === 0 ? "no options" : formatTable(columns, rows, { styleHeading: dim });
    await stdout.write(`${name}: ${summary}\n\n${table}\n\ndrafters: ${drafters}\n`);
  },
});

function describe({
  name,
  summary,
  options,
  create,
}: NamedPolicy): ContextPoliciesDocument[number] {
  const { drafting } = create({});
  return {
    name,
    summary,
    drafters: drafting.kind === "lossless" ? "lossless" : `refused: ${drafting.why}`,
    options: Object.entries(options).map(([option, spec]) => describeOption(option, spec)),
  };
}

function describeOption(
  name: string,
  spec: PolicyOption,
): ContextPoliciesDocument[number]["options"][number] {
  const { kind, help } = spec;
  return {
    ...{ name, kind, default: spec.default, help },
    ...(kind === "choice" && { choices: spec.choices }),
    ...((kind === "integer" || kind === "number") && spec.min !== undefined && { min: spec.min }),
    ...((kind === "integer" || kind === "number") && spec.max !== undefined && { max: spec.max }),
  };
}
