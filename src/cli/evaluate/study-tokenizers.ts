/** `jeton evaluate needle-threading --tokenizers A --tokenizers B`: what a haystack costs in tokens. */
import { stat } from "node:fs/promises";
import type { CommandContext } from "../context.ts";
import { type TokenizerStudyDocument, writeJson } from "../json-output.ts";
import { locateTokenizer } from "../options/locate.ts";

/** Loads the tokenizers and prints the study. No model is asked. */
export async function printTokenizerStudy(
  context: CommandContext,
  names: readonly string[],
  options: { readonly seed?: number; readonly codeLength?: number; readonly json: boolean },
): Promise<void> {
  const { loadTokenizer } = await import("../../tokenizer/index.ts");
  const { formatTokenizerStudy, studyTokenizers } = await import(
    "../../evaluate/needle-threading/index.ts"
  );
  const tokenizers = [];
  for (const name of names) {
    const path = await locateTokenizer(context, name);
    const contextLength = await readContextLength(path);
    tokenizers.push({ name, tokenizer: await loadTokenizer(path), contextLength });
    context.signal.throwIfAborted();
  }
  const { json, ...rest } = options;
  const costs = studyTokenizers(tokenizers, rest);
  if (json) await writeJson<TokenizerStudyDocument>(context.stdout, costs);
  else await context.stdout.write(`${formatTokenizerStudy(costs)}\n`);
}

/** The window that a folder's configuration states; undefined for a tokenizer without one. */
async function readContextLength(path: string): Promise<number | undefined> {
  if (!(await stat(path)).isDirectory()) return undefined;
  const { readConfig } = await import("../../checkpoint/index.ts");
  const config = await readConfig(path).catch(() => undefined);
  const length = config?.["max_position_embeddings"];
  return typeof length === "number" ? length : undefined;
}
