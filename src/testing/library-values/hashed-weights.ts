/** Weights that another program can make too: each number is a hash of its tensor's name and its place. */

/** FNV-1a over the UTF-16 units of a text. */
function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

/** Between -1 and 1, evenly. */
function hashNumber(seed: number, at: number): number {
  let hash = (seed + Math.imul(at + 1, 0x9e3779b1)) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae3d);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 31 - 1;
}

/**
 * Values of a parameter by its stored name, spread so that every term of a model shows in its logits: norms around one
 * (around zero where the model adds one), the rest around zero, matrices by the root of their inputs.
 *
 * @param normCentre what norm weights lie around
 */
export function hashedWeights(
  name: string,
  shape: readonly number[],
  normCentre: number,
): Float32Array {
  const size = shape.reduce((product, length) => product * length, 1);
  const seed = hashText(name);
  const isNorm = /(norm|ln_[12f])\.weight$/.test(name);
  const [centre, deviation] = isNorm ? [normCentre, 0.3] : [0, deviationOf(name, shape)];
  const width = deviation * Math.sqrt(3);
  return Float32Array.from({ length: size }, (_, at) => centre + width * hashNumber(seed, at));
}

function deviationOf(name: string, shape: readonly number[]): number {
  if (/bias$/.test(name)) return 0.3;
  if (/sinks$/.test(name)) return 1.5;
  if (/embed_tokens|embed_in|wte|wpe|shared|relative_attention_bias/.test(name)) return 1;
  // gpt-oss stores its experts as [inputs, outputs], GPT-2 all matrices.
  const inputs = /experts\.\w+_proj$|\.c_(attn|proj|fc)\.weight$/.test(name)
    ? shape.at(-2)!
    : shape.at(-1)!;
  const gain = /[qk]_proj|qkv_proj|c_attn|query_key_value/.test(name)
    ? 1.4
    : /router|gate\.weight/.test(name)
      ? 1.8
      : 1.2;
  return gain / Math.sqrt(inputs);
}
