/** The reproduction's substitution ciphers: a probe of the frozen model names their symbols. */

import { createRandom } from "../../core/index.ts";
import {
  type RatioParts,
  ratioOfSums,
  type Sample,
  trainResumably,
} from "../../reproduce/index.ts";
import { crossEntropyRows, fill, float32, int32, sum } from "../../tensor/index.ts";
import { adamW, objectiveGraph, openTrainer, type ParameterValue } from "../../train/index.ts";
import { openProbe, type Probe, probeMeanings, probeParameterShapes, voteKey } from "./decipher.ts";
import { sampleSymbols } from "./lexinvariant.ts";
import { type Context, classes, context } from "./reproduction-models.ts";
import { sampleWindows } from "./reproduction-training.ts";
import type { SymbolModel } from "./symbol-model.ts";

export interface CipherResult {
  readonly ciphers: number;
  /** `x` is symbols read, `y` percent of the key that is right. */
  readonly accuracy: readonly { readonly x: number; readonly y: number }[];
  /** Percent of the key that is right after the whole window, over ciphers. */
  readonly right: Sample;
  /** The same when symbols are ranked by frequency. */
  readonly frequencies: Sample;
}

/** Accuracy of the key by symbols read, and that of ranking symbols by frequency. */
export async function measureCipher(
  reproduce: Context,
  model: SymbolModel,
  text: Int32Array,
  split: number,
): Promise<CipherResult> {
  const { seed } = reproduce;
  await using probe = await trainProbe(reproduce, model, text.subarray(0, split));
  const ciphers = 200;
  const symbols = classes.length;
  const plain = sampleWindows(text.subarray(split), ciphers, context, seed, "ciphers");
  const ends = [25, 50, 100, 150, context];
  const right = new Float64Array(ends.length);
  const asked = new Float64Array(ends.length);
  const parts: Record<"probe" | "frequencies", RatioParts[]> = { probe: [], frequencies: [] };
  const order = rankByFrequency(text.subarray(0, split), symbols);
  const random = createRandom(seed, "cipher-keys");
  for (let row = 0; row < ciphers; row++) {
    const names = random.shuffle(Array.from({ length: symbols }, (_, id) => id));
    const cipher = plain.ids.slice(row * context, (row + 1) * context).map((id) => names[id]!);
    const batch = { batch: 1, time: context, ids: cipher };
    const { hidden } = await model.read(batch, createRandom(seed, "cipher-vectors", row));
    const meanings = await probe.read(hidden);
    const before = [right.at(-1)!, asked.at(-1)!] as const;
    for (const [at, to] of ends.entries()) {
      const from = Math.max(0, to - 100);
      const key = voteKey(cipher, meanings, { from, to, symbols, meanings: symbols });
      for (const [id, name] of names.entries()) {
        if (key.meanings[name] === -1) continue;
        asked[at]!++;
        if (key.meanings[name] === id) right[at]!++;
      }
    }
    const weight = asked.at(-1)! - before[1];
    parts.probe.push({ sum: 100 * (right.at(-1)! - before[0]), weight });
    let byFrequency = 0;
    const window = cipher.subarray(context - 100);
    for (const [rank, symbol] of rankByFrequency(window, symbols).entries()) {
      if (window.includes(symbol) && names[order[rank]!] === symbol) byFrequency++;
    }
    parts.frequencies.push({ sum: 100 * byFrequency, weight });
  }
  return {
    ciphers,
    accuracy: ends.map((x, at) => ({ x, y: (100 * right[at]!) / asked[at]! })),
    right: ratioOfSums(parts.probe),
    frequencies: ratioOfSums(parts.frequencies),
  };
}

/** Symbols, most frequent first. */
function rankByFrequency(ids: Int32Array, symbols: number): number[] {
  const counts = new Float64Array(symbols);
  for (const id of ids) counts[id]!++;
  return [...counts.keys()].sort((a, b) => counts[b]! - counts[a]! || a - b);
}

/** The probe of the paper: two layers, then logits against a learned, fixed table. */
async function trainProbe(
  reproduce: Context,
  model: SymbolModel,
  text: Int32Array,
): Promise<Probe> {
  const { seed, signal, progress, charge, folder, notice } = reproduce;
  const { hiddenSize } = model.config;
  const shapes = probeParameterShapes({ width: hiddenSize, inner: 128, meanings: classes.length });
  const graph = objectiveGraph(
    { hidden: float32(["rows", hiddenSize]), targets: int32(["rows"]) },
    shapes,
    [...shapes.keys()],
    ({ hidden, targets }) => ({
      loss: sum(crossEntropyRows(probeMeanings(hidden!, shapes), targets!)),
      weight: sum(fill(["rows"], 1)),
    }),
  );
  const parameters = new Map<string, ParameterValue>();
  for (const [name, shape] of shapes) {
    const count = shape.reduce((a, b) => a * b, 1);
    const data = sampleSymbols(createRandom(seed, "probe", name), count);
    const scale = name.endsWith("bias") ? 0 : 1 / Math.sqrt(hiddenSize);
    parameters.set(name, { shape, data: data.map((value) => scale * value) });
  }
  const steps = 3000;
  await using trainer = await openTrainer({
    graph,
    parameters,
    optimizer: adamW({ weightDecay: 0.01, maxNorm: 1 }),
    schedule: { kind: "cosine", peak: 0.004, warmupSteps: 20, steps },
    threads: 1,
    inline: true,
  });
  const { earlierSeconds } = await trainResumably(trainer, {
    folder: await folder("probe", { steps }),
    steps,
    signal,
    notice,
    async batch(step) {
      const windows = sampleWindows(text, 4, context, seed, "probe", step);
      const { hidden } = await model.read(windows, createRandom(seed, "probe-vectors", step));
      return [
        {
          hidden: { dtype: "float32", shape: [4 * context, hiddenSize], data: hidden },
          targets: { dtype: "int32", shape: [4 * context], data: windows.ids },
        },
      ];
    },
    onStep: ({ step, loss }) =>
      progress(`training the probe, loss ${loss.toFixed(3)}`, step, steps),
  });
  charge(earlierSeconds);
  return openProbe(await trainer.parameters(), { threads: 1 });
}
