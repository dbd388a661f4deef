/** What the colour of a token says, in steps that a style sheet holds. */
import type { LensToken } from "jeton/lens";
import type { Colouring } from "./lens-settings.ts";

/** Names of drafters get stripes in the order in which they first appear. */
const stripes = [
  "auto",
  "prompt-lookup",
  "lookahead",
  "token-recycling",
  "aded",
  "dyspec",
  "draft-model",
];

/** Tints of probability and entropy, `p0` among them. */
export const stepCount = 8;
/** Depths in a draft from here on have one tint. */
const deepest = 6;

/** Class of a token that a drafter drafted at a depth. */
export function drafterClass(drafter: string, depth: number): string {
  return `drafted d${stripes.indexOf(drafter) + 1} depth-${Math.min(deepest, depth)}`;
}

/** Class of a token: `p0` (certain) to `p7` (improbable), `plain`, or a drafter's `d1`… with `depth-1`… to `depth-6`. */
export function tokenClass(token: LensToken, colouring: Colouring): string {
  const { logProbability, entropy, origin } = token;
  if (colouring === "origin") {
    if (origin?.kind !== "accepted") return "plain";
    return drafterClass(origin.drafter, origin.depth);
  }
  const nats = colouring === "entropy" ? entropy : logProbability && -logProbability;
  if (nats === undefined) return "plain";
  // One step for each bit, the first one below half a bit.
  const bits = Math.abs(nats) / Math.LN2;
  return `p${Math.min(stepCount - 1, bits < 0.5 ? 0 : 1 + Math.floor(bits))}`;
}

/** Whole percent, more digits below one. */
export function percent(probability: number): string {
  const value = 100 * probability;
  if (value === 0) return "0 %";
  if (value >= 99.95) return "100 %";
  if (value >= 10) return `${value.toFixed(0)} %`;
  if (value >= 0.95) return `${value.toFixed(1)} %`;
  return value >= 0.001 ? `${value.toPrecision(1)} %` : "< 0.001 %";
}

/** A token's text with what would be invisible. */
export function visible(text: string): string {
  return text.replace(/\n/g, "⏎").replace(/\t/g, "⇥").replace(/^ | $/g, "␣");
}

/**
 * Depth to be written behind a token: the last one of those that were accepted from one draft has it.
 *
 * @param next the token that follows
 */
export function lastDepth({ origin }: LensToken, next: LensToken | undefined): number | undefined {
  if (origin?.kind !== "accepted") return undefined;
  const goesOn = next?.origin?.kind === "accepted" && next.origin.depth > origin.depth;
  return goesOn ? undefined : origin.depth;
}

/** What a screen reader says of a token. */
export function describeToken({ text, logProbability, origin, special }: LensToken): string {
  const shown = special ? `special token ${text}` : visible(text).replaceAll("␣", "space ");
  const chance =
    logProbability === undefined ? "" : `, ${percent(Math.exp(logProbability))} probable`;
  const how =
    origin?.kind === "accepted" ? `, drafted by ${origin.drafter} at depth ${origin.depth}` : "";
  return `${shown}${chance}${how}`;
}
