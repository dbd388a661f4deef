/** docs/server.md says what the sources say. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { formatServerDocument } from "../scripts/server-fields.mjs";
import { command } from "../src/cli/commands/serve.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const document = readFileSync(join(root, "docs/server.md"), "utf8");
const sources = readdirSync(join(root, "src/serve"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !/test|testing/.test(file))
  .map((file) => readFileSync(join(root, "src/serve", file), "utf8"));

test("the tables of fields are those of the sources", () => {
  expect(document).toBe(formatServerDocument(document));
});

test("every code of an error, every endpoint and every option is named", () => {
  const codes = sources.flatMap((text) =>
    [...text.matchAll(/code: "([a-z]+(?:_[a-z]+)+)"/g)].map(([, code]) => code!),
  );
  const warnings = new Set(["adjusted_parameter", "ignored_parameter", "unknown_parameter"]);
  expect(codes.length).toBeGreaterThan(10);
  for (const code of codes) if (!warnings.has(code)) expect(document).toContain(`\`${code}\``);
  const paths = sources.flatMap((text) =>
    [...text.matchAll(/\["(?:GET|POST)", "([^":]+)/g)].map(([, path]) => path!),
  );
  expect(paths.length).toBeGreaterThan(7);
  for (const path of paths) expect(document).toContain(`${path}`);
  const options = [...document.matchAll(/--([a-z]+(?:-[a-z]+)*)/g)]
    .map(([, name]) => name!.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()))
    .filter((name) => !["import", "help"].includes(name));
  expect(options.length).toBeGreaterThan(6);
  for (const name of options) expect(Object.keys(command.options)).toContain(name);
});
