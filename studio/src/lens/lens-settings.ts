/** What the lens is set to; the address holds all of it, so that a link shows the same again. */
import { type DrafterChoice, drafterChoices } from "jeton/generate";
import type { LensSampling } from "jeton/lens";
import { type EngineName, engineNames } from "../engine/engines.ts";

/** What the colour of a token says. */
export const colourings = {
  probability: "probability",
  entropy: "entropy",
  origin: "drafted or decoded",
} as const;

export type Colouring = keyof typeof colourings;

/** Colourings of a mode: what is read was drafted by no model. */
export function colouringsOf(
  mode: LensSettings["mode"],
): Readonly<Partial<Record<Colouring, string>>> {
  const { origin, ...others } = colourings;
  return mode === "read" ? others : { ...others, origin };
}

/** Settings in another mode; a colouring that it does not have becomes the default one. */
export function withMode(settings: LensSettings, mode: LensSettings["mode"]): LensSettings {
  return { ...settings, mode, colouring: colouringIn(mode, settings.colouring) };
}

/** The colouring of a name, where the mode has it; otherwise the default one. */
function colouringIn(mode: LensSettings["mode"], name: string | null): Colouring {
  const isOffered = name !== null && Object.hasOwn(colouringsOf(mode), name);
  return isOffered ? (name as Colouring) : defaultSettings.colouring;
}

/** One side of a comparison. */
export interface PaneSettings {
  /** Default: the server's model, where there is one. */
  readonly engine?: EngineName;
  readonly drafter: DrafterChoice;
  /** Context policy as `parseContextPolicy` reads it; empty: layers attend to all tokens. */
  readonly policy: string;
}

/** Policies to begin with, at sizes for texts of some hundred tokens. */
export const policyExamples: readonly string[] = [
  "token-select:init=4,local=32,k=32",
  "longheads:chunk=16,length=64",
  "gemfilter:layer=2,k=64",
  "sinks-window:sinks=4,window=60",
  "snapkv:k=64,window=16",
  "h2o:k=64,recent=16",
  "top-k:k=32",
  "block-selection:init=4,local=32,block=8,blocks=4",
];

/** Sampling options that the page has controls for. */
export interface SamplerSettings {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
}

export interface LensSettings {
  /** `write`: the model continues the text; `read`: it says how probable each of its tokens is. */
  readonly mode: "write" | "read";
  readonly prompt: string;
  /** Token ids that follow the prompt: a branch that was taken. */
  readonly branch: readonly number[];
  readonly maxTokens: number;
  readonly seed: number;
  readonly sampler: SamplerSettings;
  readonly colouring: Colouring;
  /** One, or two to compare. */
  readonly panes: readonly PaneSettings[];
}

export const neutralSampler: SamplerSettings = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
};

export const defaultSettings: LensSettings = {
  mode: "write",
  prompt: "The emperor of the East",
  branch: [],
  maxTokens: 96,
  seed: 1,
  sampler: { ...neutralSampler, temperature: 0.8, topP: 0.95 },
  colouring: "probability",
  panes: [{ drafter: "auto", policy: "" }],
};

/** Short names of the address. */
const samplerNames = {
  temperature: "t",
  topK: "k",
  topP: "p",
  minP: "m",
  repetitionPenalty: "r",
} as const satisfies Record<keyof SamplerSettings, string>;

/** Limits of the controls, and their steps. */
export const samplerLimits = {
  temperature: { min: 0, max: 2, step: 0.05, label: "temperature" },
  topK: { min: 0, max: 100, step: 1, label: "top-k" },
  topP: { min: 0.05, max: 1, step: 0.01, label: "top-p" },
  minP: { min: 0, max: 0.5, step: 0.01, label: "min-p" },
  repetitionPenalty: { min: 1, max: 2, step: 0.05, label: "repetition penalty" },
} as const satisfies Record<
  keyof SamplerSettings,
  { min: number; max: number; step: number; label: string }
>;

/** Settings of an address; what it does not name, or names wrongly, has its default. */
export function readSettings(query: URLSearchParams): LensSettings {
  const number = (name: string, otherwise: number, min: number, max: number): number => {
    const text = query.get(name);
    const value = Number(text);
    return text === null || text === "" || Number.isNaN(value)
      ? otherwise
      : Math.min(max, Math.max(min, value));
  };
  const sampler = Object.fromEntries(
    Object.entries(samplerNames).map(([option, name]) => {
      const { min, max } = samplerLimits[option as keyof SamplerSettings];
      const otherwise = defaultSettings.sampler[option as keyof SamplerSettings];
      return [option, number(name, otherwise, min, max)];
    }),
  ) as unknown as SamplerSettings;
  const mode = query.get("mode") === "read" ? "read" : "write";
  return {
    mode,
    prompt: query.get("prompt") ?? defaultSettings.prompt,
    branch: (query.get("branch") ?? "")
      .split(",")
      .map(Number)
      .filter((id) => Number.isSafeInteger(id) && id > 0),
    maxTokens: Math.round(number("n", defaultSettings.maxTokens, 1, 900)),
    seed: Math.round(number("seed", defaultSettings.seed, 0, 2 ** 31)),
    sampler,
    colouring: colouringIn(mode, query.get("c")),
    panes: readPanes(query),
  };
}

function readPanes(query: URLSearchParams): PaneSettings[] {
  const named = ["", "2"].filter((at) => at === "" || query.has(`e${at}`) || query.has(`d${at}`));
  return named.map((at) => {
    const engine = query.get(`e${at}`);
    const drafter = query.get(`d${at}`);
    const isEngine = (engineNames as readonly (string | null)[]).includes(engine);
    const isDrafter = (drafterChoices as readonly (string | null)[]).includes(drafter);
    return {
      ...(isEngine && { engine: engine as EngineName }),
      drafter: isDrafter ? (drafter as DrafterChoice) : "auto",
      policy: query.get(`x${at}`)?.slice(0, 200) ?? "",
    };
  });
}

/** Settings as the query of an address; defaults are left out. */
export function writeSettings(settings: LensSettings): Record<string, string | undefined> {
  const { mode, prompt, branch, maxTokens, seed, sampler, colouring, panes } = settings;
  const query: Record<string, string | undefined> = {
    prompt,
    mode: mode === "read" ? "read" : undefined,
    branch: branch.join(","),
    n: String(maxTokens),
    seed: String(seed),
    c: colouring === defaultSettings.colouring ? undefined : colouring,
  };
  for (const [option, name] of Object.entries(samplerNames)) {
    query[name] = String(sampler[option as keyof SamplerSettings]);
  }
  for (const [at, { engine, drafter, policy }] of panes.entries()) {
    const suffix = at === 0 ? "" : "2";
    query[`e${suffix}`] = engine;
    query[`d${suffix}`] = drafter;
    query[`x${suffix}`] = policy;
  }
  return query;
}

/** The sampling options of a request. */
export function samplingOf({
  sampler,
  seed,
}: Pick<LensSettings, "sampler" | "seed">): LensSampling {
  const { temperature, topK, topP, minP, repetitionPenalty } = sampler;
  return { temperature, topK, topP, minP, repetitionPenalty, seed };
}
