/** Claims that the reproductions of drafters share. */
import { type Claim, halfOf, type PaperFigure } from "../../reproduce/index.ts";

/** What a paper reports and which measurement counts as reproduced. */
export interface ClaimLevels {
  readonly paper: PaperFigure;
  readonly reproduced: number;
  readonly partly: number;
}

type TextClaim<Id extends string> = Claim<Id> & { readonly id: Id };

const units = "requests";
/** The control of every claim about tokens per forward pass. */
export const shuffledDrafts = "the same trees with their tokens shuffled among the nodes";

/** A claim about the mean acceptance length: at least so many tokens per forward pass. */
export function lengthClaim<const Id extends string>(
  id: Id,
  text: string,
  { paper, ...levels }: ClaimLevels,
): TextClaim<Id> {
  return {
    ...{ id, text, paper, units, control: shuffledDrafts },
    unit: "tokens/pass",
    direction: "higher",
    effect: "value",
    // Autoregressive decoding.
    noEffect: 1,
    ...levels,
    // Half of the effect would be within what shuffled drafts reach.
    quick: { reproduced: levels.partly, partly: levels.partly },
  };
}

export interface RatioLevels extends ClaimLevels {
  readonly fullOnly?: boolean;
  /** The claim is "no worse than". */
  readonly noWorse?: boolean;
}

/** A claim that one mean acceptance length is at least so many times another. */
export function lengthRatioClaim<const Id extends string>(
  id: Id,
  text: string,
  { paper, fullOnly = false, noWorse = false, ...levels }: RatioLevels,
): TextClaim<Id> {
  return {
    ...{ id, text, paper, units, control: shuffledDrafts },
    unit: "tokens/pass",
    direction: "higher",
    effect: "ratio",
    ...levels,
    quick: fullOnly ? "full-only" : halfOf(levels, 1),
    ...(noWorse && { noWorse }),
  };
}

/** A claim about tokens per second beside autoregressive decoding. */
export function speedClaim(paper: PaperFigure, setting: string): TextClaim<"speed"> {
  return {
    id: "speed",
    text: `Tokens per second beside autoregressive decoding, ${setting}`,
    ...{ paper, units, control: shuffledDrafts },
    unit: "tokens/s",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.5,
    partly: 1.1,
    quick: "full-only",
    speed: true,
  };
}

/**
 * The same with a target of the size that the papers' speedups need: the bundled model widened by zeros, whose
 * text is the same.
 */
export function wideSpeedClaim(paper: PaperFigure, setting: string): TextClaim<"speed-135m"> {
  return {
    ...speedClaim(paper, `${setting}, jeton-nano widened by zeros to the shape of a 135M model`),
    id: "speed-135m",
  };
}

/** A claim about a drafter's time as a share of the forward passes' time: at most 5 %. */
export function draftingTimeClaim<const Id extends string>(
  id: Id,
  activity: string,
  { paper, partly }: Pick<ClaimLevels, "paper" | "partly">,
): TextClaim<Id> {
  return {
    id,
    text: `Time of ${activity} beside that of the forward passes, jeton-nano in fp32`,
    ...{ paper, units, control: "drafting that takes as long as the forward passes" },
    unit: "%",
    direction: "lower",
    effect: "value",
    noEffect: 100,
    reproduced: 5,
    partly,
    quick: "full-only",
    speed: true,
  };
}

/** The claim that speculative decoding changes no text, of drafters that are exact token for token. */
export const identicalTextClaim: TextClaim<"identical-text"> = {
  id: "identical-text",
  text: "Requests whose text is that of autoregressive decoding, token for token, greedy and sampled",
  paper: { value: 100, unit: "%", compares: "measured", setting: "lossless" },
  units: "decoded requests",
  control: "the text of the next request",
  unit: "%",
  direction: "higher",
  effect: "value",
  noEffect: 0,
  reproduced: 100,
  partly: 99,
  quick: { reproduced: 100, partly: 99 },
};

export interface DrafterClaimsOptions extends ClaimLevels {
  /** The drafter's setting, e.g. `"published tree of 80 nodes"`. */
  readonly setting: string;
  /** Levels of the same claim at temperature 0.8. */
  readonly sampled: ClaimLevels;
  readonly draftingTime: Pick<ClaimLevels, "paper" | "partly"> & { readonly activity: string };
  /** The paper's speedup. */
  readonly speed: PaperFigure;
  /** How speed is measured. */
  readonly speedSetting: string;
}

type DrafterClaimId =
  | "accepted-length"
  | "accepted-length-sampled"
  | "accepted-length-tinystories"
  | "identical-text"
  | "drafting-time"
  | "speed";

/**
 * The claims of a drafter that learns from other requests: mean acceptance length (greedy, sampled, on a
 * second model), identical text, drafting time, speed.
 */
export function drafterClaims({
  setting,
  sampled,
  draftingTime,
  speed,
  speedSetting,
  ...levels
}: DrafterClaimsOptions): readonly Claim<DrafterClaimId>[] {
  return [
    lengthClaim(
      "accepted-length",
      `Tokens per forward pass, ${setting}, greedy, jeton-nano on four kinds of requests`,
      levels,
    ),
    lengthClaim("accepted-length-sampled", "The same at temperature 0.8", sampled),
    lengthClaim(
      "accepted-length-tinystories",
      "The same as the first, on the tiny TinyStories model",
      levels,
    ),
    identicalTextClaim,
    draftingTimeClaim("drafting-time", draftingTime.activity, draftingTime),
    speedClaim(speed, speedSetting),
  ];
}
