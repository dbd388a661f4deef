/**
 * Learned biases of attention scores by bucketed distance (Raffel et al., 2020): exact buckets for near
 * keys, logarithmic ones for far keys, one bias per head and bucket.
 */
import {
  add,
  constant,
  gather,
  maximum,
  minimum,
  reshape,
  subtract,
  type Tensor,
  transpose,
} from "../../tensor/index.ts";

/** How distances fall into buckets. */
export interface RelativeBuckets {
  readonly buckets: number;
  /** Distances from this one on share a bucket. */
  readonly maxDistance: number;
  /** True: half of the buckets are for keys behind the query. False: keys behind it share bucket 0. */
  readonly bidirectional: boolean;
}

/**
 * Bucket of the distance `key - query`.
 *
 * @param distance position of the key minus that of the query
 */
export function relativeBucket(distance: number, options: RelativeBuckets): number {
  const { maxDistance, bidirectional } = options;
  const buckets = bidirectional ? Math.floor(options.buckets / 2) : options.buckets;
  const base = bidirectional && distance > 0 ? buckets : 0;
  const far = bidirectional ? Math.abs(distance) : Math.max(0, -distance);
  const exact = Math.floor(buckets / 2);
  if (far < exact) return base + far;
  // In single precision, as the models were trained: a boundary may fall on either side.
  const ratio = Math.fround(
    Math.fround(Math.log(Math.fround(far / exact))) / Math.fround(Math.log(maxDistance / exact)),
  );
  const bucket = exact + Math.trunc(Math.fround(ratio * (buckets - exact)));
  return base + Math.min(bucket, buckets - 1);
}

/** Distances from `-maxDistance` to `maxDistance`: all that differ in their bucket. */
function bucketTable(options: RelativeBuckets): Tensor {
  const { maxDistance } = options;
  return constant(
    Array.from({ length: 2 * maxDistance + 1 }, (_, at) =>
      relativeBucket(at - maxDistance, options),
    ),
    { dtype: "int32" },
  );
}

/**
 * Biases of all pairs of positions, `[1, heads, queries, keys]`; with positions of a batch,
 * `[batch, heads, queries, keys]`.
 *
 * @param table `[buckets, heads]` float32
 * @param queries int32 `[queries]` or `[batch, queries]`
 * @param keys likewise
 */
export function relativeBias(
  table: Tensor,
  queries: Tensor,
  keys: Tensor,
  options: RelativeBuckets,
): Tensor {
  const { maxDistance } = options;
  const isBatch = queries.shape.length === 2;
  const [rows, columns] = [queries.shape.at(-1)!, keys.shape.at(-1)!];
  const batch = isBatch ? [queries.shape[0]!] : [];
  const distance = subtract(
    reshape(keys, [...batch, 1, columns]),
    reshape(queries, [...batch, rows, 1]),
  );
  const index = add(minimum(maximum(distance, -maxDistance), maxDistance), maxDistance);
  // Biases by distance first: a gather of whole rows of heads, then one of single numbers.
  const byHead = transpose(gather(table, bucketTable(options)), [1, 0]);
  const biases = gather(byHead, index, 1);
  if (isBatch) return transpose(biases, [1, 0, 2, 3]);
  return reshape(biases, [1, ...biases.shape]);
}
