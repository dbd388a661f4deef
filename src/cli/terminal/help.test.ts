import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { toOptionName } from "../command.ts";
import { commands } from "../commands.ts";
import { runCommand } from "../testing/run-command.ts";

const { version } = JSON.parse(
  readFileSync(new URL("../../../package.json", import.meta.url), "utf8"),
) as { version: string };

describe("jeton", () => {
  test("--version is the package's", async () => {
    expect(await runCommand(["--version"])).toEqual({
      status: 0,
      stdout: `${version}\n`,
      stderr: "",
    });
  });

  test("--help lists every command; without a command the same is bad usage", async () => {
    const help = await runCommand(["--help"]);
    expect(help.status).toBe(0);
    expect(help.stdout.replace(version, "VERSION")).toMatchSnapshot();
    const bare = await runCommand([]);
    expect(bare).toEqual({ status: 2, stdout: "", stderr: help.stdout });
  });

  test("the first of two words has help that lists the second ones", async () => {
    const { status, stdout, stderr } = await runCommand(["train", "--help"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("train lm");
    expect(stdout).toContain("train tokenizer");
    expect(stdout).not.toContain("reproduce");
    expect((await runCommand(["help", "train"])).stdout).toBe(stdout);
    expect((await runCommand(["train"])).status).toBe(2);
  });

  test("a misspelt command is bad usage with a suggestion", async () => {
    const { status, stdout, stderr } = await runCommand(["tokenise", "x"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toBe(
      'error: jeton has no command "tokenise"; did you mean tokenize? (command-unknown)\n',
    );
    expect((await runCommand(["--json"])).status).toBe(2);
  });

  test("with --json an error is one JSON document on standard error", async () => {
    const { status, stdout, stderr } = await runCommand(["systems", "--json", "--ara", "x"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: "option-unknown",
        message: "jeton systems has no option --ara; did you mean --area?",
        details: { option: "--ara", suggestion: "--area" },
      },
    });
  });

  test("a stack is shown on request alone", async () => {
    const quiet = await runCommand(["inspect", "./no-such-folder"]);
    expect(quiet.status).toBe(1);
    expect(quiet.stderr).toBe("error: ./no-such-folder does not exist (model-not-found)\n");
    const loud = await runCommand(["inspect", "./no-such-folder"], {
      environment: { JETON_DEBUG: "1" },
    });
    expect(loud.stderr).toMatch(/\n {4}at /);
  });
});

describe.each(commands)("jeton $name", ({ name, summary, load }) => {
  test("has help that names every option, and an example of itself", async () => {
    const command = await load();
    expect({ name: command.name, summary: command.summary }).toEqual({ name, summary });
    const { status, stdout } = await runCommand([...name.split(" "), "--help"]);
    expect(status).toBe(0);
    expect(stdout).toMatchSnapshot();
    for (const [key, option] of Object.entries(command.options)) {
      expect(stdout).toContain(`--${toOptionName(key)}`);
      expect(option.help).not.toBe("");
    }
    expect(command.examples.length).toBeGreaterThan(0);
    for (const { line } of command.examples)
      expect(line).toMatch(new RegExp(`^jeton ${name}( |$)`));
    expect((await runCommand(["help", ...name.split(" ")])).stdout).toBe(stdout);
  });
});
