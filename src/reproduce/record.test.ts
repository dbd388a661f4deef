import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { systems } from "../systems.ts";
import { rejudge } from "./record.ts";
import type { ReproductionResult } from "./run-reproduction.ts";

const records = systems.flatMap(({ slug, reproduction }) => {
  const file = new URL(`../../reproductions/${slug}.json`, import.meta.url);
  if (!reproduction || !existsSync(file)) return [];
  const record = JSON.parse(readFileSync(file, "utf8")) as ReproductionResult;
  // Older records have points without intervals.
  if (!record.claims.every(({ control }) => control as unknown)) return [];
  return [{ slug, record, load: reproduction }];
});

describe("records", () => {
  test.each(records)(
    "$slug: verdicts follow from the numbers and the claims' levels",
    async ({ record, load }) => {
      const { claims } = (await load()).reproduction;
      const known = record.claims.filter(({ id }) => claims.some((claim) => claim.id === id));
      expect(known.length).toBeGreaterThan(0);
      // Other levels first, so that every verdict is taken anew.
      const unknown = known.map((claim) => ({
        ...claim,
        effect: { ...claim.effect, reproduced: Number.NaN, partly: Number.NaN },
      }));
      const judged = rejudge({ ...record, claims: unknown }, { claims });
      expect(judged.claims).toEqual(known);
    },
  );

  test("other levels give another verdict, and numbers stay", () => {
    const { record } = records.find(({ slug }) => slug === "needle-threading")!;
    const [first] = record.claims;
    const strict = { ...first!, reproduced: 1e9, partly: 1e9, direction: "higher" };
    const judged = rejudge(record, { claims: [strict as never] });
    expect(judged.claims[0]).toMatchObject({
      verdict: "not reproduced",
      measured: first!.measured,
      effect: { interval: first!.effect.interval, partly: 1e9 },
    });
    expect(judged.claims.slice(1)).toEqual(record.claims.slice(1));
  });
});
