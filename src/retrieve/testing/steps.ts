/** A sequence of changes of an index, and what the index must hold after each. */
import type { IndexRecord } from "../types.ts";

/** What a step does: it adds two records, replaces one of the third step before it, and every fourth deletes one. */
export function changeOf(step: number): { put: IndexRecord[]; remove: string[] } {
  const put = [makeRecord(`a${step}`, `alpha${step} first`), makeRecord(`b${step}`, `beta${step}`)];
  if (step >= 3) put.push(makeRecord(`a${step - 3}`, `alpha${step - 3} second`));
  return { put, remove: step % 4 === 3 ? [`b${step - 2}`] : [] };
}

/** Texts by id after the steps up to and including `last`; -1 for none. */
export function stateAfter(last: number): Map<string, string> {
  const state = new Map<string, string>();
  for (let step = 0; step <= last; step++) {
    const { put, remove } = changeOf(step);
    for (const { id, text } of put) state.set(id, text);
    for (const id of remove) state.delete(id);
  }
  return state;
}

function makeRecord(id: string, text: string): IndexRecord {
  const at = Number(id.slice(1));
  const vectors = Float32Array.of(Math.sin(at), Math.cos(at), 1, 0, Math.cos(3 * at), 1, 0, 1);
  return { id, text, tokens: { dim: 4, vectors, spans: Uint32Array.of(0, 2, 2, 4) } };
}
