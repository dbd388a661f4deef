/** Says how much memory a long prompt will take, before it is taken. */
import { freemem, totalmem } from "node:os";
import { JetonError } from "../../core/error.ts";
import { formatBytes } from "../../core/progress.ts";
import type { PromptMemory } from "../../model/prompt-memory.ts";
import type { Generation } from "./generation.ts";

/** A prompt that takes less is not worth a line. */
const saidFrom = 256_000_000;

/** Memory of this machine, or of the container that the process runs in. */
export interface MachineMemory {
  readonly total: number;
  readonly available: number;
}

/**
 * States the memory of a prompt on standard error where it is large, and warns where less is free.
 *
 * @param options `isQuiet`: nothing is said unless it is a warning; `sequences`: continuations at once
 *
 * @throws JetonError `prompt-memory-exceeded` where the machine has less
 */
export async function statePromptMemory(
  { context: { stderr }, model, prompt }: Pick<Generation, "context" | "model" | "prompt">,
  { isQuiet, sequences }: { readonly isQuiet: boolean; readonly sequences: number },
): Promise<void> {
  const { promptIds } = await import("../../generate/index.ts");
  const { promptMemory } = await import("../../model/prompt-memory.ts");
  const tokens = promptIds(model, prompt).length;
  const { cache, pass } = promptMemory(model, tokens);
  // Each continuation has a cache of its own.
  const needed = { cache: sequences * cache, pass };
  const { line, isWarning } = describePromptMemory(tokens, needed, machineMemory());
  if (line === undefined || (isQuiet && !isWarning)) return;
  await stderr.write(isWarning ? `jeton: warning: ${line}\n` : `${stderr.style.dim(line)}\n`);
}

/**
 * What is said about a prompt; nothing about a small one.
 *
 * @throws JetonError `prompt-memory-exceeded`
 */
export function describePromptMemory(
  tokens: number,
  { cache, pass }: PromptMemory,
  { total, available }: MachineMemory,
): { readonly line?: string; readonly isWarning: boolean } {
  const needed = cache + pass;
  const amount = `a prompt of ${tokens} tokens takes about ${formatBytes(needed)} of memory (cache ${formatBytes(cache)}, a pass up to ${formatBytes(pass)})`;
  if (needed > total) {
    throw new JetonError(`${amount}, this machine has ${formatBytes(total)}`, {
      code: "prompt-memory-exceeded",
      details: { tokens, needed, total, expected: "a shorter prompt" },
    });
  }
  const isWarning = needed > available;
  if (needed < saidFrom && !isWarning) return { isWarning };
  const free = isWarning
    ? `only ${formatBytes(available)} are free`
    : `${formatBytes(available)} are free`;
  return { line: `${amount}; ${free}`, isWarning };
}

/** What is there now. Newer versions of Node know the limit of a container and what can be reclaimed. */
function machineMemory(): MachineMemory {
  const limit = process.constrainedMemory?.() ?? 0;
  const total = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return { total, available: process.availableMemory?.() ?? freemem() };
}
