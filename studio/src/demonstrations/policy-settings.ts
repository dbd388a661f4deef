/** Options of context policies that demonstrations have controls for. */

export type PolicyName = "token-select" | "longheads" | "gemfilter";

/** A control. */
export interface PolicyControl {
  readonly name: string;
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step?: number;
  readonly value: number;
}

export interface PolicySettings {
  readonly controls: readonly PolicyControl[];
  /** The policy as `parseContextPolicy` reads it, from the controls' values. */
  write(values: Readonly<Record<string, number>>): string;
}

/** By policy. */
export const policySettings: Readonly<Record<PolicyName, PolicySettings>> = {
  "token-select": {
    controls: [
      { name: "k", label: "tokens chosen", min: 4, max: 128, step: 4, value: 24 },
      { name: "local", label: "latest tokens kept", min: 8, max: 128, step: 8, value: 24 },
      { name: "init", label: "first tokens kept", min: 0, max: 32, value: 4 },
    ],
    write: ({ k, local, init }) => `token-select:init=${init},local=${local},k=${k}`,
  },
  longheads: {
    controls: [
      { name: "chunk", label: "tokens a chunk", min: 4, max: 64, step: 4, value: 8 },
      { name: "chunks", label: "chunks a head reads", min: 3, max: 32, value: 6 },
    ],
    write: ({ chunk, chunks }) => `longheads:chunk=${chunk},length=${chunk! * chunks!}`,
  },
  gemfilter: {
    controls: [
      { name: "k", label: "tokens chosen", min: 8, max: 256, step: 8, value: 80 },
      { name: "layer", label: "filter layer", min: 0, max: 5, value: 1 },
    ],
    write: ({ k, layer }) => `gemfilter:layer=${layer},k=${k}`,
  },
};
