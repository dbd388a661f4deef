import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Command, defineCommand, UsageError } from "../command.ts";
import { parseArguments } from "./arguments.ts";

const command: Command = defineCommand({
  name: "bake",
  summary: "bake",
  description: "Bakes.",
  positionals: [{ name: "dough", required: true }, { name: "topping" }],
  options: {
    ovenHeat: {
      kind: "number",
      value: "C",
      min: 0,
      exclusiveMin: true,
      max: 300,
      help: "",
    },
    loaves: { kind: "integer", short: "n", value: "N", default: 1, help: "" },
    flour: { kind: "text", value: "KIND", choices: ["rye", "wheat"], help: "" },
    shape: { kind: "text", short: "s", value: "SHAPE", default: "round", help: "" },
    seed: { kind: "list", value: "SEED", help: "" },
    quiet: { kind: "flag", short: "q", help: "" },
  },
  examples: [],
  run: async () => {},
});

const parse = (...args: string[]) => parseArguments(command, args);

function failure(...args: string[]): UsageError {
  try {
    parse(...args);
  } catch (error) {
    if (error instanceof UsageError) return error;
  }
  throw new Error(`${args.join(" ")} was accepted`);
}

describe("parseArguments", () => {
  test("gives every option a value: what was written, the default, or undefined", () => {
    expect(parse("white").values).toEqual({
      ovenHeat: undefined,
      loaves: 1,
      flour: undefined,
      shape: "round",
      seed: [],
      quiet: false,
      json: false,
      help: false,
    });
    const line = "white --oven-heat=220.5 -n 3 --flour rye --seed a --seed b -q --json sesame";
    expect(parse(...line.split(" "))).toEqual({
      values: {
        ovenHeat: 220.5,
        loaves: 3,
        flour: "rye",
        shape: "round",
        seed: ["a", "b"],
        quiet: true,
        json: true,
        help: false,
      },
      positionals: ["white", "sesame"],
    });
  });

  test("an empty text, a single dash, and everything after -- are arguments", () => {
    expect(parse("", "-").positionals).toEqual(["", "-"]);
    expect(parse("--", "--loaves", "-x").positionals).toEqual(["--loaves", "-x"]);
    expect(parse("a", "--shape", "", "--seed", "-").values).toMatchObject({
      shape: "",
      seed: ["-"],
    });
  });

  test.each([
    [["white", "--loavse", "2"], "option-unknown", "did you mean --loaves?"],
    [["white", "--xyzzy"], "option-unknown", "no option --xyzzy"],
    [["white", "-z"], "option-unknown", "no option -z"],
    [["-5 degrees"], "option-unknown", "write -- before a text that begins with a dash"],
    [["-- a list"], "option-unknown", "write -- before a text that begins with a dash"],
    [["white", "--shape"], "option-value-missing", "--shape SHAPE"],
    [["white", "--shape", "--json"], "option-value-missing", "--shape=--json"],
    [["white", "--quiet=yes"], "option-value-unexpected", "takes no value"],
    [["white", "--flour", "ry"], "option-value-invalid", "did you mean rye?"],
    [["white", "--loaves", "1.5"], "option-value-invalid", "an integer at least 0"],
    [["white", "--loaves", "-1"], "option-value-invalid", "at least 0"],
    [["white", "--loaves", ""], "option-value-invalid", "an integer"],
    [["white", "--loaves", "1e99"], "option-value-invalid", "an integer"],
    [["white", "--oven-heat", "0"], "option-value-invalid", "above 0 and at most 300"],
    [["white", "--oven-heat", "NaN"], "option-value-invalid", "a number"],
    [["white", "--shape", "a", "-s", "b"], "option-repeated", "given twice"],
    [["white", "--seed", ""], "option-value-invalid", "--seed must not be empty"],
    [[], "argument-missing", "needs dough: jeton bake [options] dough [topping]"],
    [["white", "sesame", "more"], "argument-unexpected", "quotes"],
  ] as const)("%j is refused with %s", (args, code, message) => {
    const error = failure(...args);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  test("who asks for help need not have the rest right", () => {
    expect(parse("--help").values["help"]).toBe(true);
    expect(parse("-h").values["help"]).toBe(true);
  });

  test("any values written with = come back as they were", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1 })),
        fc.string(),
        fc.integer({ min: 0 }),
        (seeds, shape, n) => {
          const args = [
            ...seeds.map((seed) => `--seed=${seed}`),
            `--shape=${shape}`,
            `--loaves=${n}`,
          ];
          const { values, positionals } = parse(...args, "--", "-x");
          expect(values).toMatchObject({ seed: seeds, shape, loaves: n });
          expect(positionals).toEqual(["-x"]);
        },
      ),
    );
  });

  test("no command line ends in anything but a result or a usage error", () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom(
        "--shape",
        "--loaves",
        "-n",
        "-qn",
        "--",
        "-",
        "--seed=",
        "--no-quiet",
        "--=x",
      ),
    );
    fc.assert(
      fc.property(fc.array(piece), (args) => {
        try {
          parse(...args);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }),
    );
  });
});
