/** Several byte distributions as one: models of different vocabularies averaged byte by byte. */
import { JetonError } from "../../core/index.ts";
import { type ByteDistribution, byteOutcomes } from "./byte-distribution.ts";

/** Options of `createByteEnsemble`. */
export interface ByteEnsembleOptions {
  /** Weight of each member, not negative. Default: all equal. */
  weights?: readonly number[];
  /**
   * `"probabilities"` (default): their weighted mean. `"logarithms"`: the geometric mean, normalized; an
   * outcome is impossible where one member finds it so.
   */
  mean?: "probabilities" | "logarithms";
}

/**
 * The mean of several distributions, each over the same bytes. The members are closed with it.
 *
 * @throws JetonError `byte-ensemble-invalid`
 */
export function createByteEnsemble(
  members: readonly ByteDistribution[],
  options: ByteEnsembleOptions = {},
): ByteDistribution {
  const { mean = "probabilities", weights = members.map(() => 1) } = options;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const isValid = weights.length === members.length && weights.every((weight) => weight >= 0);
  if (members.length === 0 || !isValid || !(total > 0) || !Number.isFinite(total)) {
    throw new JetonError(
      `an ensemble of ${members.length} members has the weights ${weights}, expected one for each, not all of them 0`,
      { code: "byte-ensemble-invalid", details: { members: members.length, weights } },
    );
  }
  const shares = weights.map((weight) => weight / total);
  // All of them end before an error is told: none is busy when the next call comes.
  const all = async <T>(run: (member: ByteDistribution) => Promise<T>): Promise<T[]> => {
    const calls = members.map(async (member) => run(member));
    await Promise.allSettled(calls);
    return Promise.all(calls);
  };
  return {
    name: members.map(({ name }) => name).join(" + "),
    get length() {
      return members[0]!.length;
    },
    get remaining() {
      return Math.min(...members.map(({ remaining }) => remaining));
    },
    async prefill(bytes, prefillOptions) {
      await all((member) => member.prefill(bytes, prefillOptions));
    },
    async logProbabilities(stepOptions) {
      const logs = await all((member) => member.logProbabilities(stepOptions));
      return mean === "probabilities" ? arithmetic(logs, shares) : geometric(logs, shares);
    },
    async advance(byte) {
      await all((member) => member.advance(byte));
    },
    async expect(bytes, stepOptions) {
      await all(async (member) => member.expect?.(bytes, stepOptions));
    },
    async close() {
      await all((member) => member.close());
    },
  };
}

function arithmetic(logs: readonly Float64Array[], shares: readonly number[]): Float64Array {
  return Float64Array.from({ length: byteOutcomes }, (_, outcome) => {
    const parts = logs.map((row, member) => row[outcome]! + Math.log(shares[member]!));
    const largest = Math.max(...parts);
    if (largest === -Infinity) return -Infinity;
    return largest + Math.log(parts.reduce((sum, part) => sum + Math.exp(part - largest), 0));
  });
}

function geometric(logs: readonly Float64Array[], shares: readonly number[]): Float64Array {
  const means = Float64Array.from({ length: byteOutcomes }, (_, outcome) =>
    logs.reduce((sum, row, member) => {
      const share = shares[member]!;
      return share === 0 ? sum : sum + share * row[outcome]!;
    }, 0),
  );
  const largest = Math.max(...means);
  if (largest === -Infinity) {
    throw new JetonError("the members agree on no next byte", { code: "byte-no-outcome" });
  }
  const total = means.reduce((sum, log) => sum + Math.exp(log - largest), 0);
  return means.map((log) => log - largest - Math.log(total));
}
