/** Which special tokens that are spelt in a text become tokens. */
import { JetonError } from "../../core/error.ts";
import type { SpecialTokenPolicy } from "../added-tokens.ts";
import { describeValue } from "../formats/json-reader.ts";
import type { SpecialTextOptions } from "../tokenizer-interface.ts";

/** Which special tokens in the text count; null: all. */
export function createSpecialPolicy(options: SpecialTextOptions): SpecialTokenPolicy | null {
  const allowed = options.allowedSpecial ?? "all";
  if (allowed === "all") return null;
  const listed = new Set(allowed === "none" ? [] : allowed);
  return (token) => {
    if (listed.has(token.content)) return true;
    if (options.disallowedSpecial !== "error") return false;
    throw new JetonError(
      `the text holds the special token ${describeValue(token.content)}, which is not allowed here`,
      {
        code: "tokenizer-special-token-in-text",
        details: { token: token.content, id: token.id },
      },
    );
  };
}
