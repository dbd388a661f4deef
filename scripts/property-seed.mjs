/**
 * Seeds the property tests: the same cases in every run, so that a change is blamed for its own
 * failures alone. `JETON_SEED=random npm test` goes looking for new ones; a number repeats a run.
 */
import fc from "fast-check";

const wanted = process.env["JETON_SEED"] ?? "20261124";
if (wanted !== "random") {
  const seed = Number(wanted);
  if (!Number.isInteger(seed))
    throw new Error(`JETON_SEED is "${wanted}", not a whole number or "random"`);
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
}
