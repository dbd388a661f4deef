/**
 * How much each constant of `auto` matters, on the simulated machine of the tests. Prints for each constant,
 * halved and doubled, the worst loss with useless drafts and the mean speedup with good ones:
 *
 *     npx tsx src/generate/testing/auto-constants.ts
 */
import { autoPolicy } from "../speculative/auto-policy.ts";
import { chainDrafter, linear, type Machine, simulate } from "./auto-simulation.ts";

const policy = autoPolicy as unknown as Record<string, number>;

const chain = (options: Parameters<typeof chainDrafter>[1]) => (machine: Machine) =>
  chainDrafter(machine, options);
type Member = ReturnType<typeof chain>;
const run = (members: readonly Member[], ...rest: Tail<Parameters<typeof simulate>>) =>
  simulate((machine) => members.map((member) => member(machine)), ...rest);
type Tail<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;

const never = (): number => 0;
const small = (rows: number): number => 0.2 * linear(0.03)(rows);
const model = { name: "model", cost: 1, start: 5, preparation: 40, runsModel: true };

/** Speeds relative to autoregressive decoding, with drafts that are never accepted. */
async function speedsOfUselessDrafts(): Promise<number[]> {
  const speeds: number[] = [];
  const wrong = chain({ name: "wrong", chance: never });
  const slow = chain({ name: "slow", chance: never, cost: 4, start: 30 });
  const cheap = ["a", "b", "c", "d"].map((name) => chain({ name, chance: never, cost: 0.095 }));
  for (const share of [0, 0.03, 0.2, 1]) {
    speeds.push((await run([wrong, slow], linear(share))).speed);
    speeds.push((await run(cheap, linear(share))).speed);
  }
  speeds.push((await run([chain({ ...model, chance: never })], small, 40, 60)).speed);
  for (const share of [0.02, 0.1, 0.25]) {
    const oneSided = chain({ name: "one-sided", chance: (_, n) => (n % 2 === 0 ? 0.9 : 0.02) });
    const { perRequest } = await run([oneSided], linear(share), 8);
    speeds.push(...perRequest.filter((_, request) => request % 2 === 1));
  }
  return speeds;
}

/** The same with good drafters: cheap, slow, late in the text, a model, sampled. */
async function speedsOfGoodDrafts(): Promise<number[]> {
  const good = chain({ name: "good", chance: () => 0.8 });
  const poor = chain({ name: "poor", chance: () => 0.2 });
  const rich = chain({ name: "rich", chance: () => 0.85, cost: 1, start: 10 });
  const late = chain({ name: "late", chance: (at) => (at < 200 ? 0 : 0.95) });
  const likely = chain({ ...model, chance: () => 0.85 });
  const sampled = { name: "samples", chance: () => 0.85, cost: 1.5, start: 20, sampled: true };
  return [
    ...(await Promise.all([0.02, 0.1, 0.25].map((share) => run([good], linear(share))))).map(
      ({ speed }) => speed,
    ),
    (await run([poor, rich], linear(0.03), 6)).speed,
    (await run([late], linear(0.03), 6)).speed,
    (await run([likely], small, 20)).perRequest.at(-1)!,
    (await run([chain(sampled)], linear(0.04), 6)).speed,
  ];
}

async function score(): Promise<string> {
  const worst = Math.min(...(await speedsOfUselessDrafts()));
  const good = await speedsOfGoodDrafts();
  const logs = good.reduce((sum, speed) => sum + Math.log(speed), 0);
  return `${(100 * (1 - worst)).toFixed(1)} %, ${Math.exp(logs / good.length).toFixed(2)}x`;
}

/** Half and twice a value; of fractions close to 1, half and twice their distance from 1. */
const variants = (value: number): number[] =>
  value > 0.5 && value < 1 ? [1 - (1 - value) / 2, 1 - 2 * (1 - value)] : [value / 2, 2 * value];

console.log(`as they are: ${await score()}`);
for (const [name, value] of Object.entries(policy)) {
  const found: string[] = [];
  for (const changed of variants(value)) {
    policy[name] = changed;
    found.push(`${Number(changed.toPrecision(3))}: ${await score()}`);
  }
  policy[name] = value;
  console.log(`${name} ${value}; ${found.join("; ")}`);
}
