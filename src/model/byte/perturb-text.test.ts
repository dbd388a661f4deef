import { expect, test } from "vitest";
import { noiseKinds, perturbText } from "./perturb-text.ts";

const text = "Einige Wörter, und noch mehr Wörter: alle mit Buchstaben! ".repeat(20);
const letters = (one: string): number => one.match(/\p{L}/gu)?.length ?? 0;

test("noise of each kind, worked by hand where all letters change", () => {
  expect(perturbText("Straße 1", { kind: "caps" })).toBe("STRASSE 1");
  expect(perturbText("ab, cde", { kind: "permute", rate: 1 })).toBe("ba, dce");
  expect(perturbText("ab, c1", { kind: "delete", rate: 1 })).toBe(", 1");
  expect(perturbText("aa, a1", { kind: "replace", rate: 1 })).toBe("aa, a1");
});

test.each(noiseKinds.filter((kind) => kind !== "caps"))(
  "%s changes a tenth of the letters",
  (kind) => {
    const noisy = perturbText(text, { kind, seed: 3 });
    expect(perturbText(text, { kind, seed: 3 })).toBe(noisy);
    expect(perturbText(text, { kind, seed: 4 })).not.toBe(noisy);
    expect(perturbText(text, { kind, rate: 0 })).toBe(text);
    const lost = letters(text) - letters(noisy);
    expect(lost / letters(text)).toBeCloseTo(kind === "delete" ? 0.1 : 0, 1);
    expect(noisy.replace(/\p{L}/gu, "")).toBe(text.replace(/\p{L}/gu, ""));
  },
);
