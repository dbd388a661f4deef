/** Terms of attention scores that some layers of a model share and others have of their own. */
import { add, type Tensor } from "../../tensor/index.ts";

/** What a layer has by a key, made at the first use of the key. */
export function onceByKey<K, V>(
  key: (layer: number) => K,
  make: (key: K) => V,
): (layer: number) => V {
  const made = new Map<K, { readonly value: V }>();
  return (layer) => {
    const own = key(layer);
    const found = made.get(own) ?? { value: make(own) };
    made.set(own, found);
    return found.value;
  };
}

/** The sum of a layer's mask and bias: one tensor for all layers that share both, since each would add them anew. */
export function sumsOf(
  mask: (layer: number) => Tensor,
  bias: (layer: number) => Tensor | undefined,
): (layer: number) => readonly Tensor[] {
  const byMask = onceByKey(mask, (own) =>
    onceByKey(bias, (table) => [table === undefined ? own : add(own, table)]),
  );
  return (layer) => byMask(layer)(layer);
}
