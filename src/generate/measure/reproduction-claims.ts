/** Claims that the reproductions of drafters share. */
import type { Claim } from "../../reproduce/index.ts";

/** What a paper reports and which measurement counts as reproduced. */
export interface ClaimLevels {
  /** The paper's number, or words where its setting has no such number. */
  readonly paper: number | string;
  readonly reproduced: number;
  readonly partly: number;
}

type TextClaim<Id extends string> = Claim<Id> & { readonly id: Id };

/** A claim about the mean acceptance length: at least so many tokens per forward pass. */
export function lengthClaim<const Id extends string>(
  id: Id,
  text: string,
  { paper, reproduced, partly }: ClaimLevels,
): TextClaim<Id> {
  return {
    id,
    text,
    paper,
    unit: "tokens/pass",
    direction: "higher",
    effect: "value",
    reproduced,
    partly,
  };
}

/** A claim that one mean acceptance length is at least so many times another. */
export function lengthRatioClaim<const Id extends string>(
  id: Id,
  text: string,
  { paper, reproduced, partly, fullOnly }: ClaimLevels & { readonly fullOnly?: boolean },
): TextClaim<Id> {
  return {
    ...lengthClaim(id, text, { paper, reproduced, partly }),
    effect: "ratio",
    ...(fullOnly && { fullOnly }),
  };
}

/** A claim about tokens per second beside autoregressive decoding. */
export function speedClaim(
  paper: string,
  setting = "greedy, in turns, jeton-nano in fp32 (the better of 8 and 16 nodes)",
): TextClaim<"speed"> {
  return {
    id: "speed",
    text: `Tokens per second beside autoregressive decoding, ${setting}`,
    paper,
    unit: "tokens/s",
    direction: "higher",
    effect: "ratio",
    reproduced: 1.5,
    partly: 1.1,
    fullOnly: true,
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
    text: `Time of ${activity} beside that of the forward passes, 16 nodes, jeton-nano in fp32`,
    paper,
    unit: "%",
    direction: "lower",
    effect: "value",
    reproduced: 5,
    partly,
    fullOnly: true,
  };
}

/** The claim that speculative decoding changes no text, of drafters that are exact token for token. */
export const identicalTextClaim: TextClaim<"identical-text"> = {
  id: "identical-text",
  text: "Requests whose text is that of autoregressive decoding, token for token, greedy and sampled",
  paper: "lossless",
  unit: "%",
  direction: "higher",
  effect: "value",
  reproduced: 100,
  partly: 99,
};

export interface DrafterClaimsOptions extends ClaimLevels {
  /** The drafter's setting, e.g. `"published tree of 80 nodes"`. */
  readonly setting: string;
  /** Levels of the same claim at temperature 0.8. */
  readonly sampled: ClaimLevels;
  readonly draftingTime: Pick<ClaimLevels, "paper" | "partly"> & { readonly activity: string };
  /** The paper's speedup. */
  readonly speed: string;
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
    speedClaim(speed),
  ];
}
