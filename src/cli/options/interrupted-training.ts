/** What a training command says when it was interrupted. */
import type { CommandContext } from "../context.ts";
import { type TrainLanguageModelProgress, writeJson } from "../json-output.ts";

/**
 * Writes the saved step, and the command that resumes the run.
 *
 * @param kind the command's second word
 * @param step undefined where none was saved
 */
export async function reportInterruption(
  { stderr }: Pick<CommandContext, "stderr">,
  kind: "lm" | "encoder" | "compressor",
  json: boolean,
  folder: string,
  step: number | undefined,
): Promise<void> {
  const command = ["jeton", "train", kind, "--resume", "--out", folder];
  if (json) {
    await writeJson<TrainLanguageModelProgress>(stderr, {
      stage: "interrupted",
      step: step ?? 0,
      command,
    });
    return;
  }
  const quoted = command.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`));
  const saved = step === undefined ? "no step was finished" : `saved at step ${step}`;
  await stderr.write(`${saved}; resume with: ${quoted.join(" ")}\n`);
}
