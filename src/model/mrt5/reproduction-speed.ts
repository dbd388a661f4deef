/** How much time deletion saves, on random weights of ByT5-small's proportions. */
import type { ReproductionContext } from "../../reproduce/index.ts";
import { compile, type ParameterBinding } from "../../tensor/index.ts";
import { seq2seqConfig } from "../seq2seq/config.ts";
import { sourceGraph } from "../seq2seq/seq2seq-graph.ts";
import { traceWeights } from "../weights/trace-weights.ts";
import { initialValues, smallConfigFile } from "./reproduction-training.ts";

/** A quarter of ByT5-small's width, all of its twelve encoder layers. */
const size = {
  width: 384,
  heads: 6,
  feedForward: 896,
  encoderLayers: 12,
  decoderLayers: 4,
  layer: 3,
  vocabSize: 384,
};

/** Milliseconds of reading a text, by round. */
export interface ReadingTimes {
  readonly hard: readonly number[];
  readonly none: readonly number[];
  readonly soft: readonly number[];
  readonly deleted: number;
}

/** Reads 1,024 bytes, 512 in a quick run, with half of the positions deleted, with none, and with the gate as a mask alone. */
export async function timeReading({
  seed,
  quick,
  signal,
}: ReproductionContext): Promise<ReadingTimes> {
  const config = seq2seqConfig(smallConfigFile(size));
  const values = initialValues(config, "gate", seed);
  const parameters = new Map<string, ParameterBinding>(
    Array.from(values, ([name, { data }]) => [
      name,
      { kind: "data", data: new Uint8Array(data.buffer as ArrayBuffer) },
    ]),
  );
  const stored = new Map(
    Array.from(values, ([name, { shape }]) => [name, { dtype: "F32" as const, shape: [...shape] }]),
  );
  const graph = sourceGraph(config, traceWeights(stored, "f32"));
  await using program = await compile(graph, {
    inline: true,
    parameters,
    threads: 2,
    sameSizes: false,
  });
  const time = quick ? 512 : 1024;
  const ids = Int32Array.from({ length: time }, (_, at) => 3 + ((at * 7919) % 128));
  const text = {
    ids: { data: ids, shape: [1, time] },
    attended: { data: new Float32Array(time).fill(1), shape: [1, time] },
  };
  const first = await program.run({ ...text, threshold: -3e38, soft: 0 }, ["gate.values"]);
  const sorted = Float32Array.from(first["gate.values"]!.data).sort();
  const median = sorted[time / 2 - 1]!;
  const modes = { hard: [median, 0], none: [-3e38, 0], soft: [-3e38, 1] } as const;
  const times: Record<keyof typeof modes, number[]> = { hard: [], none: [], soft: [] };
  for (let round = 0; round < (quick ? 4 : 21); round++) {
    signal.throwIfAborted();
    for (const [name, [threshold, soft]] of Object.entries(modes)) {
      const began = performance.now();
      await program.run({ ...text, threshold, soft }, ["cross"]);
      // The first round warms up.
      if (round > 0) times[name as keyof typeof modes].push(performance.now() - began);
    }
  }
  return { ...times, deleted: sorted.filter((value) => value <= median).length / time };
}
