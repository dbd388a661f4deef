import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");

describe.skipIf(!existsSync(dist))("the built declarations (npm run build makes them)", () => {
  test("name no package but those that are installed with jeton", () => {
    const text = readFileSync(join(root, "package.json"), "utf8");
    const installed = Object.keys((JSON.parse(text) as { dependencies: object }).dependencies);
    const unknown = readdirSync(dist, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".d.ts"))
      .flatMap((name) => {
        const code = readFileSync(join(dist, name), "utf8");
        const named = code.matchAll(/(?:\bfrom |\bimport\(|^import )"([^".][^"]*)"/gm);
        return Array.from(named, ([, specifier]) => ({ name, specifier: specifier! }));
      })
      .filter(({ specifier }) => {
        if (specifier.startsWith("node:") || specifier === "jeton") return false;
        return !installed.some((name) => specifier === name || specifier.startsWith(`${name}/`));
      });
    expect(unknown).toEqual([]);
  });
});
