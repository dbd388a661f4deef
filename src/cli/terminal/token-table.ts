/** Tokens with their probabilities, as a table. */
import { formatTable } from "../../core/table.ts";
import type { ScoredToken } from "../../generate/types.ts";

/** A table of tokens with their probabilities; the first may have none. */
export function formatTokens(
  tokens: readonly Pick<ScoredToken, "id" | "text" | "logProbability">[],
): string {
  const rows = tokens.map(({ id, text, logProbability }) => {
    const isScored = Number.isFinite(logProbability);
    return [
      String(id),
      isScored ? logProbability.toFixed(4) : "-",
      isScored ? `${(Math.exp(logProbability) * 100).toFixed(2)} %` : "-",
      JSON.stringify(text),
    ];
  });
  return formatTable(
    [
      { title: "id", align: "right" },
      { title: "log-probability", align: "right" },
      { title: "probability", align: "right" },
      { title: "token" },
    ],
    rows,
  );
}
