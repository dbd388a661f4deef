/** Guessing ahead, for the commands that generate: options, the drafter, and what it brought. */

import type { DraftStatistics, GeneratedToken } from "../../generate/index.ts";
import type { Drafter } from "../../generate/speculative/drafter.ts";
import { drafterChoices } from "../../generate/speculative/drafter-names.ts";
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
    help: "guesses tokens ahead, the text stays the same; auto takes what is fastest here",
  },
  draftModel: {
    kind: "text",
    value: "M",
    help: "a smaller model with the same tokenizer, which guesses; default: the folder M-draft beside the model M, if there is one",
  },
  inexact: {
    kind: "flag",
    help: "verify whole draft trees in passes of any size: sometimes faster, but drafting and company may change the text",
  },
} as const;

/** A draft model that the chosen drafter would silently leave aside is a mistake. */
export function checkDrafterOptions({
  drafter,
  draftModel,
}: Pick<Values<typeof drafterOptions>, "drafter" | "draftModel">): void {
  if (draftModel === undefined || ["auto", "dyspec", "draft-model"].includes(drafter)) return;
  throw new UsageError("option-misplaced", `--draft-model means nothing for --drafter ${drafter}`, {
    option: "--draft-model",
    drafter,
  });
}

/** Opens the drafter that was asked for, hands it to `use`, and closes it whatever happens. */
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

/** What guessing ahead brought, in a few lines. */
export function describeDrafting(drafting: DraftStatistics): string {
  const { drafter, forwardPasses, tokens, drafted, accepted, byDepth, byDrafter } = drafting;
  const { draftSeconds, forwardSeconds, verifySeconds } = drafting;
  if (forwardPasses === 0) return "";
  const percent = (part: number, whole: number): string =>
    `${whole === 0 ? 0 : Math.round((100 * part) / whole)} %`;
  const shares = byDrafter.map((share) =>
    share.drafter === "none"
      ? `plain ${share.forwardPasses}`
      : `${share.drafter} ${share.forwardPasses} (${share.accepted} of ${share.drafted})`,
  );
  const lines = [
    `drafter ${drafter}: ${drafting.meanAcceptanceLength.toFixed(2)} tokens a forward ` +
      `(${tokens} in ${forwardPasses}), ${accepted} of ${drafted} guesses came true`,
    `forwards by drafter: ${shares.join(", ")}`,
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

/** Writes tokens so that one sees which were guessed, by whom and how far ahead. */
export class DraftPainter {
  readonly #output: Output;
  readonly #names: string[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  /** A token's text: on its drafter's colour; with name and depth where there are no colours. */
  paint({ text, origin }: GeneratedToken): string {
    if (origin.kind !== "accepted" || text === "") return text;
    if (!this.#names.includes(origin.drafter)) this.#names.push(origin.drafter);
    const { style } = this.#output;
    if (!style.enabled) return `[${text}|${origin.drafter} ${origin.depth}]`;
    const painted = style.stripe(text, this.#names.indexOf(origin.drafter));
    return origin.depth > 3 ? style.bold(painted) : painted;
  }

  /** Which colour is whose. */
  legend(): string {
    const { style } = this.#output;
    const names = this.#names.map((name, index) => style.stripe(name, index));
    if (names.length === 0) return "no guess came true";
    return style.enabled
      ? `guessed by ${names.join(", ")}; bold: more than three tokens ahead`
      : "[text|drafter tokens ahead]: a guess that came true";
  }
}
