/** Which models policies can renumber. */
import { JetonError } from "../../core/index.ts";
import type { DecoderConfig } from "../decoder/config.ts";

/**
 * Refuses rotations whose frequencies depend on how long a text is: under a policy no such length exists.
 *
 * @throws JetonError `context-policy-rotation`
 */
export function refuseScaledRotations(
  policy: string,
  { ropes, family }: Pick<DecoderConfig, "ropes" | "family">,
): void {
  const scaled = ropes.find(({ kind }) => kind === "dynamic" || kind === "longrope");
  if (!scaled) return;
  throw new JetonError(
    `${policy}: the rotary positions of this ${family} model are scaled by the length of the text (${scaled.kind})`,
    {
      code: "context-policy-rotation",
      details: { policy, family, found: scaled.kind, expected: "default, linear, llama3 or yarn" },
    },
  );
}

/**
 * Refuses models whose positions are a part of their embeddings: they cannot be numbered anew behind that.
 *
 * @throws JetonError `context-policy-rotation`
 */
export function refuseLearnedPositions(
  policy: string,
  { learnedPositions, family }: Pick<DecoderConfig, "learnedPositions" | "family">,
): void {
  if (learnedPositions === undefined) return;
  throw new JetonError(
    `${policy} moves tokens to other positions; those of this ${family} model are learned, and part of its embeddings`,
    {
      code: "context-policy-rotation",
      details: { policy, family, found: "learned positions", expected: "rotary positions" },
    },
  );
}
