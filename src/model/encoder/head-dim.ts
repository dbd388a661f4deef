/** How wide an encoder's heads are, as its `config.json` says. */
import { type Fields, given, invalid, positive } from "../decoder/config-fields.ts";

/** Width of a head: the hidden size by their number, but in nomic-bert's class of transformers, which reads `head_dim`. */
export function headDimOf(family: string, fields: Fields, width: number): number {
  const isOwn = family === "nomic_bert" && given(fields["head_dim"]);
  if (isOwn)
    return positive(fields, "head_dim", (value) => Number.isSafeInteger(Number(value) / 2));
  if (!Number.isSafeInteger(width)) {
    const { hidden_size: size, num_attention_heads: heads } = fields;
    throw invalid("num_attention_heads", heads, `a divisor of the hidden size ${String(size)}`);
  }
  const stated = fields["attention_head_size"];
  if (given(stated) && stated !== width) throw invalid("attention_head_size", stated, `${width}`);
  return width;
}
