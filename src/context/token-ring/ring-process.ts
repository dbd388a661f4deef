/**
 * Entry of a process that is one rank of a ring on NATS (see `process-ring.ts`). What it is comes in the environment; it
 * ends when it is told to, or when the connection does.
 */
import { connectTransport } from "../../transport/index.ts";
import type { RingArray, RingShape } from "./attention-state.ts";
import { createRankHost, type RankMessage } from "./rank-host.ts";
import type { RingShard } from "./ring-rank.ts";

/** What a process is started with. */
export interface RingProcessSettings {
  readonly url: string;
  readonly token: string;
  /** First part of all subjects of the ring. */
  readonly ring: string;
  readonly rank: number;
  readonly deadline: number;
}

const settings = JSON.parse(process.env["JETON_RING"] ?? "{}") as RingProcessSettings;
const { url, token, ring, rank, deadline } = settings;
const transport = await connectTransport({ url, token, name: `${ring} rank ${rank}` });
const host = createRankHost({
  rank,
  deadline,
  send: (peer, { arrays, ...head }) =>
    transport.publish(`${ring}.${peer}.message`, { head, arrays }),
});

transport.subscribe(`${ring}.${rank}.message`, ({ head, arrays }) => {
  host.receive({ ...(head as Omit<RankMessage, "arrays">), arrays: arrays as RingArray[] });
});
transport.respond(`${ring}.${rank}.attend`, async ({ head, arrays }) => {
  const task = head as { call: number; ranks: number; causal: boolean; shape: RingShape };
  const [queries, keys, values] = arrays as RingArray[];
  const shard: RingShard = { queries: queries!, keys: keys!, values: values! };
  const { output, logSumExp } = await host.attend({ ...task, shard });
  return { arrays: [output, logSumExp] };
});
transport.subscribe(`${ring}.stop`, () => void transport.close());
await transport.flush();
transport.publish(`${ring}.ready.${rank}`);
