/** How a context policy is declared: its name, its options with defaults and bounds, and what follows from them. */
import { JetonError, suggest } from "../../core/index.ts";
import { describeValue, objectRule } from "../../core/option-rules.ts";
import type {
  ChoosePrompt,
  ContextPolicy,
  CreatePolicyProgram,
  LoadedModel,
  PolicyDrafting,
  PolicyOptions,
} from "../../model/index.ts";

/** An option of a policy. */
export type PolicyOption =
  | {
      readonly kind: "integer" | "number";
      readonly default: number;
      /** Smallest and largest allowed values. Default: no bound. */
      readonly min?: number;
      readonly max?: number;
      readonly help: string;
    }
  | { readonly kind: "flag"; readonly default: boolean; readonly help: string }
  | {
      readonly kind: "choice";
      readonly default: string;
      readonly choices: readonly string[];
      readonly help: string;
    };

/** Options by name. */
export type PolicyOptionTable = Readonly<Record<string, PolicyOption>>;

/** Values of the options of a table. */
export type PolicyOptionValues<Table extends PolicyOptionTable> = {
  readonly [Name in keyof Table]: Table[Name]["default"] extends number
    ? number
    : Table[Name]["default"] extends boolean
      ? boolean
      : string;
};

/** A policy by its name. */
export interface NamedPolicy {
  readonly name: string;
  /** What it does, in one line. */
  readonly summary: string;
  readonly options: PolicyOptionTable;
  /**
   * Fills in defaults and checks.
   *
   * @throws JetonError `context-policy-option`
   */
  create(options: PolicyOptions): ContextPolicy;
}

/** What `definePolicy` is given. */
export interface PolicyDefinition<Table extends PolicyOptionTable> {
  readonly name: string;
  readonly summary: string;
  /** `import.meta.url` of the module that exports `createPolicy`. */
  readonly module: string;
  /** That `createPolicy`. */
  readonly createProgram: CreatePolicyProgram;
  readonly options: Table;
  /** Throws, through `optionError`, where options contradict each other. */
  check?(options: PolicyOptionValues<Table>): void;
  /** Default: lossless. */
  drafting?(options: PolicyOptionValues<Table>): PolicyDrafting;
  /** Default: any. */
  reuse?(options: PolicyOptionValues<Table>): ContextPolicy["reuse"];
  /** Default: the chunk of `reuse`, or 1. */
  promptChunk?(options: PolicyOptionValues<Table>): number;
  /** Default true. */
  readonly showsAttended?: boolean;
  choosePrompt?(options: PolicyOptionValues<Table>): ChoosePrompt;
  /** Options that a model's own files complete; the same object where they are complete. */
  complete?(
    options: PolicyOptionValues<Table>,
    model: Pick<LoadedModel, "name" | "config" | "checkpoint">,
  ): PolicyOptionValues<Table>;
}

/** Declares a policy. */
export function definePolicy<Table extends PolicyOptionTable>(
  definition: PolicyDefinition<Table>,
): NamedPolicy {
  const { name, summary, module, createProgram, showsAttended = true } = definition;
  const { options: table } = definition;
  const make = (options: PolicyOptionValues<Table>): ContextPolicy => {
    definition.check?.(options);
    const choosePrompt = definition.choosePrompt?.(options);
    const promptChunk = definition.promptChunk?.(options);
    return {
      name,
      options: options as PolicyOptions,
      module,
      createProgram,
      drafting: definition.drafting?.(options) ?? { kind: "lossless" },
      reuse: definition.reuse?.(options) ?? "any",
      showsAttended,
      ...(promptChunk !== undefined && { promptChunk }),
      ...(choosePrompt && { choosePrompt }),
      ...(definition.complete && {
        forModel: (model) => {
          const completed = definition.complete!(options, model);
          return completed === options ? undefined : make(completed);
        },
      }),
    };
  };
  return {
    name,
    summary,
    options: table,
    create: (given) => make(resolveOptions(name, table, given)),
  };
}

function resolveOptions<Table extends PolicyOptionTable>(
  policy: string,
  table: Table,
  given: PolicyOptions,
): PolicyOptionValues<Table> {
  if (!objectRule.test(given)) throw optionError(policy, "options", given, objectRule.expected);
  for (const [option, value] of Object.entries(given)) {
    if (value !== undefined && !Object.hasOwn(table, option)) {
      const names = Object.keys(table);
      const meant = suggest(option, names);
      const known = names.length === 0 ? "it has none" : `there are ${names.join(", ")}`;
      throw new JetonError(
        `${policy} has no option ${option}; ${meant === undefined ? known : `did you mean ${meant}?`}`,
        {
          code: "context-policy-option",
          details: { policy, option, found: value, expected: names },
        },
      );
    }
  }
  const values = Object.entries(table).map(([option, spec]) => {
    const value = given[option] === undefined ? spec.default : given[option];
    const wrong = whatIsExpected(spec, value);
    if (wrong) throw optionError(policy, option, value, wrong);
    return [option, value] as const;
  });
  return Object.fromEntries(values) as PolicyOptionValues<Table>;
}

/** What is expected of an option where a value is not that. */
function whatIsExpected(spec: PolicyOption, value: unknown): string | undefined {
  if (spec.kind === "flag") return typeof value === "boolean" ? undefined : "true or false";
  if (spec.kind === "choice") {
    return spec.choices.includes(value as string) ? undefined : spec.choices.join(" or ");
  }
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = spec;
  const isNumber = Number.isFinite(value) && (value as number) >= min && (value as number) <= max;
  if (isNumber && (spec.kind === "number" || Number.isSafeInteger(value))) return undefined;
  const bounds = [
    ...(spec.min === undefined ? [] : [`from ${spec.min}`]),
    ...(spec.max === undefined ? [] : [`to ${spec.max}`]),
  ];
  return [spec.kind === "integer" ? "an integer" : "a number", ...bounds].join(" ");
}

/** An error about an option of a policy, `context-policy-option`. */
export function optionError(
  policy: string,
  option: string,
  found: unknown,
  expected: string,
): JetonError {
  return new JetonError(
    `${policy}: the option ${option} is ${describeValue(found)}, expected ${expected}`,
    { code: "context-policy-option", details: { policy, option, found, expected } },
  );
}
