/**
 * Which row counts forward passes may have on this machine, so that no row depends on the rows beside it.
 *
 * ONNX Runtime picks kernels by instruction set and by the number of rows. So two small products are
 * computed in several heights when a model is loaded, and compared to the bit: a product over quantized
 * weights, whose kernels take rows by twos and may group the terms of a row that is left over differently;
 * and a weighted sum over many values, which is cut in other places where more threads share it.
 */
import { createRandom } from "../../core/index.ts";
import {
  type Device,
  emitModel,
  float32,
  type Graph,
  matmul,
  matmulBlockQuantized,
  openSession,
  type ParameterBinding,
  parameter,
  type Session,
  trace,
} from "../../tensor/index.ts";
import type { WeightFormat } from "../types.ts";
import { blockLayout } from "../weights/trace-weights.ts";

/** How rows must be passed to be independent. */
export interface RowRules {
  /** Rows of a pass are a multiple of this, those whose results are wanted too. */
  readonly rowTile: number;
  /** Weighted sums over values run in blocks (`exactAttention`). */
  readonly sumsInBlocks: boolean;
}

export interface RowRulesOptions {
  readonly format: WeightFormat;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly threads: number;
  readonly device?: Device;
}

const known: Map<string, Promise<RowRules>> = new Map();

/** The rules of this machine, found once for each kind of model. A few milliseconds. */
export function findRowRules(options: RowRulesOptions): Promise<RowRules> {
  const key = JSON.stringify(options);
  let rules = known.get(key);
  if (!rules) {
    rules = measureRules(options);
    known.set(key, rules);
  }
  return rules;
}

async function measureRules(options: RowRulesOptions): Promise<RowRules> {
  return { rowTile: await findRowTile(options), sumsInBlocks: !(await keepsSumsWhole(options)) };
}

/** The smallest number of rows of which every multiple gives each row the same bits. */
async function findRowTile({ format, ...options }: RowRulesOptions): Promise<number> {
  // Stored weights and integer products were the same in every height on every machine.
  if (format === "f32" || format === "int8-channel") return 1;
  const [rows, columns] = [24, 512];
  const random = createRandom(1, "row tile", format);
  const normal = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const { bits, blockSize, ownZeros } = blockLayout[format];
  const blocks = columns / blockSize;
  // Any codes do: the kernels compute the same for all values.
  const bytes = (count: number) => Uint8Array.from({ length: count }, () => 256 * random.uniform());
  const scales = Float32Array.from({ length: rows * blocks }, () => 0.01 * (1 + random.uniform()));
  const bindings = new Map<string, ParameterBinding>([
    ["codes", { kind: "data", data: bytes((rows * columns * bits) / 8) }],
    ["scales", { kind: "data", data: scales }],
  ]);
  if (ownZeros) {
    const zeros = bytes(rows * Math.ceil((blocks * bits) / 8));
    bindings.set("zeros", { kind: "data", data: zeros });
  }
  const graph = trace({ x: float32(["rows", columns]) }, ({ x }) => ({
    y: matmulBlockQuantized(
      x,
      parameter("codes", [rows, blocks, (blockSize * bits) / 8], "uint8"),
      parameter("scales", [rows * blocks], "float32"),
      { bits, blockSize, rows, columns },
      ownZeros ? parameter("zeros", [rows * Math.ceil((blocks * bits) / 8)], "uint8") : undefined,
    ),
  }));
  return await withSession(graph, bindings, options, async (session) => {
    const x = normal(16 * columns);
    const product = (count: number) =>
      runRows(session, { x: { data: x.subarray(0, count * columns), shape: [count, columns] } });
    for (const tile of [1, 2, 4, 8]) {
      const whole = await product(16);
      const [one, three] = [await product(tile), await product(Math.min(3 * tile, 16))];
      if (isPrefix(one, whole) && isPrefix(three, whole)) return tile;
    }
    return 1;
  });
}

/** True where weighted sums over long caches are cut alike for few and many rows. */
async function keepsSumsWhole({ kvHeads, headDim, ...options }: RowRulesOptions): Promise<boolean> {
  // A single thread cuts at fixed places.
  if (options.threads === 1) return true;
  const [length, few, many] = [2048, 2, 64];
  const random = createRandom(1, "sums", kvHeads, headDim);
  const normal = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const graph = trace(
    {
      weights: float32([kvHeads, "rows", length]),
      values: float32([kvHeads, length, headDim]),
    },
    ({ weights, values }) => ({ y: matmul(weights, values) }),
  );
  return await withSession(graph, new Map(), options, async (session) => {
    // All heads share their weights: it is the cutting that is looked at.
    const row = normal(length);
    const weightsOf = (rows: number) => {
      const data = new Float32Array(kvHeads * rows * length);
      for (let at = 0; at < kvHeads * rows; at++) data.set(row, at * length);
      return { data, shape: [kvHeads, rows, length] };
    };
    const values = { data: normal(kvHeads * length * headDim), shape: [kvHeads, length, headDim] };
    const narrow = await runRows(session, { weights: weightsOf(few), values });
    const wide = await runRows(session, { weights: weightsOf(many), values });
    for (let head = 0; head < kvHeads; head++) {
      const [from, to] = [head * few * headDim, head * many * headDim];
      const own = wide.subarray(to, to + many * headDim);
      if (!isPrefix(narrow.subarray(from, from + headDim), own)) return false;
    }
    return true;
  });
}

interface ProbeInput {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

async function runRows(
  session: Session,
  inputs: Readonly<Record<string, ProbeInput>>,
): Promise<Float32Array> {
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { data, shape }]) => [
      name,
      session.bind("float32", data, shape),
    ]),
  );
  const { y } = await session.run(feeds, ["y"]);
  return y!.data as Float32Array;
}

async function withSession<T>(
  graph: Graph,
  bindings: ReadonlyMap<string, ParameterBinding>,
  { threads, device }: Pick<RowRulesOptions, "threads" | "device">,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(emitModel(graph, bindings), {
    threads,
    sameSizes: false,
    spinning: false,
    ...(device && { device }),
  });
  try {
    return await use(session);
  } finally {
    await session.release();
  }
}

/** True where `whole` begins with the very bits of `part`. */
function isPrefix(part: Float32Array, whole: Float32Array): boolean {
  return part.every((value, at) => value === whole[at]);
}
