/** Speculative decoding for the commands that generate: options, the drafter and its statistics. */
import type { DraftStatistics, GeneratedToken } from "../../generate/index.ts";
import type { Drafter } from "../../generate/speculative/drafter.ts";
import { drafterChoices, usesDraftModel } from "../../generate/speculative/drafter-names.ts";
import type { LoadedModel } from "../../model/types.ts";
import { defined, UsageError, type Values } from "../command.ts";
import type { CommandContext, Output } from "../context.ts";
import { locateModel } from "./locate.ts";

export const drafterOptions = {
  drafter: {
    kind: "text",
    value: "NAME",
    choices: drafterChoices as typeof drafterChoices,
    default: "auto",
    help: "speculative decoding: drafts tokens that one forward pass verifies; auto measures and takes the fastest",
  },
  draftModel: {
    kind: "text",
    value: "M",
    help: "a smaller model with the same tokenizer that drafts tokens; default: the folder M-draft beside the model M, if it exists",
  },
  inexact: {
    kind: "flag",
    help: "verify whole draft trees in passes of any size: sometimes faster, but drafting and other sequences may change the text",
  },
} as const;

/** Throws if the chosen drafter would ignore `--draft-model`. */
export function checkDrafterOptions({
  drafter,
  draftModel,
}: Pick<Values<typeof drafterOptions>, "drafter" | "draftModel">): void {
  if (draftModel === undefined || usesDraftModel(drafter)) return;
  throw new UsageError("option-misplaced", `--draft-model means nothing for --drafter ${drafter}`, {
    option: "--draft-model",
    drafter,
  });
}

/** Opens the chosen drafter, calls `use` with it, and closes it in every case. */
export async function withDrafter<T>(
  context: CommandContext,
  values: Pick<Values<typeof drafterOptions>, "drafter" | "draftModel">,
  model: LoadedModel,
  use: (drafter: Drafter | undefined) => Promise<T>,
): Promise<T> {
  const { drafter: name, draftModel } = values;
  if (name === "none") return use(undefined);
  const { openDrafter } = await import("../../generate/index.ts");
  const drafter = await openDrafter(name, model, {
    signal: context.signal,
    ...defined({ draftModel: draftModel && (await locateModel(context, draftModel)) }),
  });
  try {
    return await use(drafter);
  } finally {
    await drafter.close();
  }
}

/** Statistics of speculative decoding in a few lines; empty if there was no forward pass. */
export function describeDrafting(drafting: DraftStatistics): string {
  const { drafter, forwardPasses, tokens, drafted, accepted, byDepth, byDrafter } = drafting;
  const { draftSeconds, forwardSeconds, verifySeconds } = drafting;
  if (forwardPasses === 0) return "";
  const percent = (part: number, whole: number): string =>
    `${whole === 0 ? 0 : Math.round((100 * part) / whole)} %`;
  const shares = byDrafter.map((share) =>
    share.drafter === "none"
      ? `autoregressive ${share.forwardPasses}`
      : `${share.drafter} ${share.forwardPasses} (${share.accepted} of ${share.drafted})`,
  );
  const lines = [
    `drafter ${drafter}: ${drafting.meanAcceptanceLength.toFixed(2)} tokens per forward pass ` +
      `(${tokens} in ${forwardPasses}), ${accepted} of ${drafted} draft tokens accepted`,
    `forward passes by drafter: ${shares.join(", ")}`,
  ];
  if (byDepth.length > 0) {
    const depths = byDepth
      .slice(0, 8)
      .map((entry) => `${entry.depth}: ${percent(entry.accepted, entry.tried)}`);
    lines.push(`accepted at depth ${depths.join(", ")}`);
  }
  const seconds = draftSeconds + forwardSeconds + verifySeconds;
  lines.push(
    `time: model ${percent(forwardSeconds, seconds)}, drafting ${percent(draftSeconds, seconds)}, ` +
      `verifying ${percent(verifySeconds, seconds)}`,
  );
  return lines.join("\n");
}

/** Marks accepted draft tokens by drafter and depth. */
export class DraftPainter {
  readonly #output: Output;
  readonly #names: string[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  /** A token's text in its drafter's colour, or with drafter and depth in brackets without colours. */
  paint({ text, origin }: GeneratedToken): string {
    if (origin.kind !== "accepted" || text === "") return text;
    if (!this.#names.includes(origin.drafter)) this.#names.push(origin.drafter);
    const { style } = this.#output;
    if (!style.enabled) return `[${text}|${origin.drafter} ${origin.depth}]`;
    const painted = style.stripe(text, this.#names.indexOf(origin.drafter));
    return origin.depth > 3 ? style.bold(painted) : painted;
  }

  /** Explains the colours. */
  legend(): string {
    const { style } = this.#output;
    const names = this.#names.map((name, index) => style.stripe(name, index));
    if (names.length === 0) return "no draft token was accepted";
    return style.enabled
      ? `drafted by ${names.join(", ")}; bold: depth above 3`
      : "[text|drafter depth]: an accepted draft token";
  }
}
