import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Takes the tokens of fill-in-the-middle prompts out of the tokenizer of a copy of jeton-nano. */
export function removeFillTokens(folder: string): void {
  const path = join(folder, "tokenizer.json");
  const tokenizer = JSON.parse(readFileSync(path, "utf8")) as {
    added_tokens: { content: string }[];
  };
  const added = tokenizer.added_tokens.filter(({ content }) => !/fim_/.test(content));
  if (added.length !== tokenizer.added_tokens.length - 3)
    throw new Error(`${path} has other tokens`);
  // The copy may be a link to the original.
  rmSync(path);
  writeFileSync(path, JSON.stringify({ ...tokenizer, added_tokens: added }));
}
