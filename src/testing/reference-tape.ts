/**
 * A tape of float64 operations with hand-written backward rules, on matrices `[rows, width]`: what
 * `reference-training.ts` computes losses and gradients with.
 */
import { activate, activationSlope } from "./reference-activation.ts";
import type { ReferenceActivation } from "./reference-plan.ts";

/** A matrix `[rows, width]` on the tape, with the gradient that arrives at it. */
export interface Node {
  readonly data: Float64Array;
  readonly gradient: Float64Array;
  readonly width: number;
}

/** Angles of the rotary pairs by position, and what the result is multiplied with. */
export interface Rotation {
  readonly frequencies: ArrayLike<number>;
  readonly attentionFactor: number;
}

/** Shape and scores of one attention layer. */
export interface AttentionShape {
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  readonly scale: number;
  readonly softcap: number | null;
  /** Positions that a row sees, itself included; null for all before it. */
  readonly window: number | null;
}

/** Operations on matrices of as many rows; `backward` carries gradients to all inputs. */
export class ReferenceTape {
  readonly rows: number;
  readonly #backward: (() => void)[] = [];

  constructor(rows: number) {
    this.rows = rows;
  }

  /** Runs the backward rules, last operation first. */
  backward(): void {
    for (const rule of this.#backward.reverse()) rule();
  }

  node(width: number): Node {
    return {
      data: new Float64Array(this.rows * width),
      gradient: new Float64Array(this.rows * width),
      width,
    };
  }

  /** Rows of a table by ids, multiplied by a number. */
  embed(table: Node, ids: readonly number[], scale: number): Node {
    const { width } = table;
    const out = this.node(width);
    for (let row = 0; row < this.rows; row++) {
      for (let i = 0; i < width; i++) {
        out.data[row * width + i] = table.data[ids[row]! * width + i]! * scale;
      }
    }
    this.#backward.push(() => {
      for (let row = 0; row < this.rows; row++) {
        for (let i = 0; i < width; i++) {
          table.gradient[ids[row]! * width + i]! += out.gradient[row * width + i]! * scale;
        }
      }
    });
    return out;
  }

  /** x W^T + b. */
  linear(x: Node, weight: Node, bias: Node | null): Node {
    const inputs = x.width;
    const out = this.node(weight.data.length / inputs);
    for (let row = 0; row < this.rows; row++) {
      for (let o = 0; o < out.width; o++) {
        let sum = bias === null ? 0 : bias.data[o]!;
        for (let i = 0; i < inputs; i++) {
          sum += weight.data[o * inputs + i]! * x.data[row * inputs + i]!;
        }
        out.data[row * out.width + o] = sum;
      }
    }
    this.#backward.push(() => {
      for (let row = 0; row < this.rows; row++) {
        for (let o = 0; o < out.width; o++) {
          const arrived = out.gradient[row * out.width + o]!;
          if (bias !== null) bias.gradient[o]! += arrived;
          for (let i = 0; i < inputs; i++) {
            weight.gradient[o * inputs + i]! += arrived * x.data[row * inputs + i]!;
            x.gradient[row * inputs + i]! += arrived * weight.data[o * inputs + i]!;
          }
        }
      }
    });
    return out;
  }

  /** Columns [start, start + count) of x. */
  columns(x: Node, start: number, count: number): Node {
    const out = this.node(count);
    for (let row = 0; row < this.rows; row++) {
      const from = row * x.width + start;
      out.data.set(x.data.subarray(from, from + count), row * count);
    }
    this.#backward.push(() => {
      for (let row = 0; row < this.rows; row++) {
        for (let i = 0; i < count; i++) {
          x.gradient[row * x.width + start + i]! += out.gradient[row * count + i]!;
        }
      }
    });
    return out;
  }

  add(a: Node, b: Node): Node {
    const out = this.node(a.width);
    for (let i = 0; i < out.data.length; i++) out.data[i] = a.data[i]! + b.data[i]!;
    this.#backward.push(() => {
      for (let i = 0; i < out.data.length; i++) {
        a.gradient[i]! += out.gradient[i]!;
        b.gradient[i]! += out.gradient[i]!;
      }
    });
    return out;
  }

  /** Norm of each group of as many columns as the weight has (a row, or a head). */
  norm(x: Node, weight: Node, { epsilon, offset }: { epsilon: number; offset: number }): Node {
    const size = weight.data.length;
    const out = this.node(x.width);
    const scales = new Float64Array(x.data.length / size);
    for (let group = 0; group < scales.length; group++) {
      let squares = 0;
      for (let i = 0; i < size; i++) squares += x.data[group * size + i]! ** 2;
      const scale = 1 / Math.sqrt(squares / size + epsilon);
      scales[group] = scale;
      for (let i = 0; i < size; i++) {
        const at = group * size + i;
        out.data[at] = x.data[at]! * scale * (weight.data[i]! + offset);
      }
    }
    this.#backward.push(() => {
      for (let group = 0; group < scales.length; group++) {
        const scale = scales[group]!;
        let along = 0;
        for (let i = 0; i < size; i++) {
          const at = group * size + i;
          along += out.gradient[at]! * (weight.data[i]! + offset) * x.data[at]!;
        }
        for (let i = 0; i < size; i++) {
          const at = group * size + i;
          const arrived = out.gradient[at]!;
          weight.gradient[i]! += arrived * x.data[at]! * scale;
          x.gradient[at]! +=
            arrived * (weight.data[i]! + offset) * scale -
            (x.data[at]! * scale ** 3 * along) / size;
        }
      }
    });
    return out;
  }

  /** Rotates each head; the backward rule is the transpose, a rotation the other way. */
  rotate(x: Node, headDim: number, { frequencies, attentionFactor }: Rotation): Node {
    const half = frequencies.length;
    const turn = (values: Float64Array, direction: 1 | -1): Float64Array => {
      const turned = values.slice();
      for (let row = 0; row < this.rows; row++) {
        for (let start = row * x.width; start < (row + 1) * x.width; start += headDim) {
          for (let i = 0; i < half; i++) {
            const angle = direction * row * frequencies[i]!;
            const cosine = attentionFactor * Math.cos(angle);
            const sine = attentionFactor * Math.sin(angle);
            const a = values[start + i]!;
            const b = values[start + half + i]!;
            turned[start + i] = a * cosine - b * sine;
            turned[start + half + i] = b * cosine + a * sine;
          }
        }
      }
      return turned;
    };
    const out = this.node(x.width);
    out.data.set(turn(x.data, 1));
    this.#backward.push(() => {
      for (const [i, value] of turn(out.gradient, -1).entries()) x.gradient[i]! += value;
    });
    return out;
  }

  /** Causal attention of `heads` query heads over `keyHeads` key heads. */
  attend(query: Node, key: Node, value: Node, shape: AttentionShape): Node {
    const out = this.node(query.width);
    for (let head = 0; head < shape.heads; head++) {
      for (let row = 0; row < this.rows; row++) {
        const place = { head, row, query, key, value, out };
        const attended = attendRow(place, shape);
        this.#backward.push(() => attendRowBackward(place, shape, attended));
      }
    }
    return out;
  }

  /** activation(gate) * up. */
  gate(gate: Node, up: Node, activation: ReferenceActivation): Node {
    const out = this.node(gate.width);
    for (let i = 0; i < out.data.length; i++) {
      out.data[i] = activate(gate.data[i]!, activation) * up.data[i]!;
    }
    this.#backward.push(() => {
      for (let i = 0; i < out.data.length; i++) {
        const arrived = out.gradient[i]!;
        gate.gradient[i]! += arrived * up.data[i]! * activationSlope(gate.data[i]!, activation);
        up.gradient[i]! += arrived * activate(gate.data[i]!, activation);
      }
    });
    return out;
  }
}

/** One head of one row. */
interface AttentionPlace {
  readonly head: number;
  readonly row: number;
  readonly query: Node;
  readonly key: Node;
  readonly value: Node;
  readonly out: Node;
}

interface AttendedRow {
  /** First position that the row sees. */
  readonly first: number;
  /** Scores after the soft-cap, and their softmax, from `first` on. */
  readonly scores: Float64Array;
  readonly weights: Float64Array;
}

/** First columns of a head in queries and outputs, and in keys and values. */
function headColumns(head: number, shape: AttentionShape): { own: number; seen: number } {
  const groupSize = shape.heads / shape.keyHeads;
  return { own: head * shape.headDim, seen: Math.floor(head / groupSize) * shape.headDim };
}

function attendRow(
  { head, row, query, key, value, out }: AttentionPlace,
  shape: AttentionShape,
): AttendedRow {
  const { headDim, window } = shape;
  const { own, seen } = headColumns(head, shape);
  const first = window === null ? 0 : Math.max(0, row - window + 1);
  const scores = new Float64Array(row + 1 - first);
  for (let at = first; at <= row; at++) {
    let sum = 0;
    for (let i = 0; i < headDim; i++) {
      sum += query.data[row * query.width + own + i]! * key.data[at * key.width + seen + i]!;
    }
    scores[at - first] = softCap(sum * shape.scale, shape.softcap);
  }
  const weights = softmax(scores);
  for (let at = first; at <= row; at++) {
    for (let i = 0; i < headDim; i++) {
      out.data[row * out.width + own + i]! +=
        weights[at - first]! * value.data[at * value.width + seen + i]!;
    }
  }
  return { first, scores, weights };
}

/** Gradients of the loss by each weight, then by each score (softmax), product and input. */
function attendRowBackward(
  { head, row, query, key, value, out }: AttentionPlace,
  shape: AttentionShape,
  { first, scores, weights }: AttendedRow,
): void {
  const { headDim, softcap } = shape;
  const { own, seen } = headColumns(head, shape);
  const slopes = new Float64Array(weights.length);
  let mean = 0;
  for (let at = first; at <= row; at++) {
    const weight = weights[at - first]!;
    for (let i = 0; i < headDim; i++) {
      const arrived = out.gradient[row * out.width + own + i]!;
      slopes[at - first]! += arrived * value.data[at * value.width + seen + i]!;
      value.gradient[at * value.width + seen + i]! += arrived * weight;
    }
    mean += weight * slopes[at - first]!;
  }
  for (let at = first; at <= row; at++) {
    let slope = weights[at - first]! * (slopes[at - first]! - mean) * shape.scale;
    if (softcap !== null) slope *= 1 - (scores[at - first]! / softcap) ** 2;
    for (let i = 0; i < headDim; i++) {
      const q = row * query.width + own + i;
      const k = at * key.width + seen + i;
      query.gradient[q]! += slope * key.data[k]!;
      key.gradient[k]! += slope * query.data[q]!;
    }
  }
}

/** limit * tanh(x / limit); x where there is no limit. */
export function softCap(x: number, limit: number | null): number {
  return limit === null ? x : limit * Math.tanh(x / limit);
}

export function softmax(scores: Float64Array): Float64Array {
  const largest = scores.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = scores.map((score) => Math.exp(score - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
