/**
 * The models and data that tests run on: the bundled model always, files of the data folder where
 * `JETON_DATA` names it. What is absent is skipped with a reason, which `npm test` prints at its end.
 */
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { dataFiles } from "../data/registry.ts";

/** A file or folder of the data folder. */
export interface TestData {
  /** Its path; a path that does not exist if `skip` is set. */
  readonly folder: string;
  /** Why tests that need it are skipped, for `describe.skipIf`; undefined if it is there. */
  readonly skip: string | undefined;
}

/** A model to run a suite on. */
export interface TestModel {
  readonly name: string;
  readonly folder: string;
}

/** Marks a line of output for `scripts/summary-reporter.mjs`. */
export const skipMarker = "[skipped tests]";

/** Folder of the bundled model. */
export const bundledModel: string = fileURLToPath(
  new URL("../../models/jeton-nano", import.meta.url),
);

/**
 * A file or folder of the data folder, `"."` for the folder itself. Call it while tests are collected.
 *
 * @example
 * const data = testData("models/tinystories-260k");
 * describe.skipIf(data.skip)("on a published model", () => test("opens", () => loadModel(data.folder)));
 */
export function testData(name: string): TestData {
  const root = process.env["JETON_DATA"];
  const folder = join(root ?? "JETON_DATA is not set", name);
  if (root && existsSync(folder)) return { folder, skip: undefined };
  const what = name === "." ? "the data folder" : name;
  const skip = root ? `${what} is not in JETON_DATA` : `${what} needs JETON_DATA`;
  reportSkip(skip, name);
  return { folder, skip };
}

/**
 * The models that suites run on: `jeton-nano`, and those of the data folder that are there.
 *
 * @param names folders of the data folder, e.g. `"models/tinystories-260k"`
 */
export function testModels(...names: readonly string[]): TestModel[] {
  const models = [{ name: "jeton-nano", folder: bundledModel }];
  for (const name of names) {
    const { folder, skip } = testData(name);
    if (skip === undefined) models.push({ name: basename(name), folder });
  }
  return models;
}

/**
 * Tells the reporter, which runs in another process and reads the output of this one, why tests of this
 * file are skipped.
 *
 * @param name the data that would add them
 */
export function reportSkip(reason: string, name?: string): void {
  const file = expect.getState().testPath ?? "";
  const files = [...dataFiles().values()].filter(
    (entry) => name !== undefined && entry.name.startsWith(name),
  );
  const isDownloadable = name === "." || files.some((entry) => entry.derived === undefined);
  const entry = { file, reason, ...(isDownloadable && { data: name }) };
  console.info(`${skipMarker} ${JSON.stringify(entry)}`);
}
