/** A running generation, or reading, as a component shows it. */
import type { EndEvent, GenerateRequest, LensPrompt, LensToken } from "jeton/lens";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { askOne, describeError, type Engine, type OpeningProgress } from "../engine/engine.ts";
import { type EngineName, openEngine } from "../engine/engines.ts";

/** What there is of a generation. */
export interface Generation {
  readonly status: "idle" | "opening" | "running" | "done" | "stopped" | "failed";
  readonly progress?: OpeningProgress;
  /** Tokens of the prompt, and of the branch that was taken. */
  readonly prompt: readonly LensToken[];
  readonly tokens: readonly LensToken[];
  readonly end?: EndEvent;
  /** The same request without a drafter and without details, and with its drafter. */
  readonly speed?: Speed;
  readonly engine?: Engine;
  readonly message?: string;
}

/** Tokens a second of the same request, measured one after the other. */
export interface Speed {
  readonly drafted: number;
  readonly autoregressive: number;
}

const nothing: Generation = { status: "idle", prompt: [], tokens: [] };

export interface GenerationControl {
  readonly generation: Generation;
  /**
   * Starts anew; what runs is stopped first.
   *
   * @param branch token ids between the prompt and what is generated
   */
  write(
    engine: EngineName,
    request: Omit<GenerateRequest, "kind">,
    branch?: readonly number[],
  ): Promise<void>;
  /** Reads a text. */
  read(engine: EngineName, text: string): Promise<void>;
  /** Measures the last request with its drafter and without. */
  measure(
    engine: EngineName,
    request: Omit<GenerateRequest, "kind">,
    branch?: readonly number[],
  ): Promise<void>;
  stop(): void;
}

/** Details of each token that the lens shows. */
const detail = { alternatives: 10, entropy: true } as const;

export function useGeneration(): GenerationControl {
  const [generation, setGeneration] = useState<Generation>(nothing);
  const running = useRef<AbortController>(undefined);
  useEffect(() => () => running.current?.abort(), []);
  const control = useMemo(() => createControl(setGeneration, running), []);
  return { generation, ...control };
}

type Update = (change: (last: Generation) => Generation) => void;

function createControl(
  set: Update,
  running: { current: AbortController | undefined },
): Omit<GenerationControl, "generation"> {
  /** Runs one thing at a time, and shows how it ended. */
  const run = async (
    name: EngineName,
    first: Partial<Generation>,
    body: (engine: Engine, signal: AbortSignal) => Promise<Partial<Generation>>,
  ): Promise<void> => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    const isCurrent = (): boolean => running.current === controller;
    const change = (next: Partial<Generation>): void => {
      if (isCurrent()) set((last) => ({ ...last, ...next }));
    };
    set((last) => ({ ...(first.tokens ? withoutEnd(last) : last), ...first, status: "opening" }));
    try {
      const engine = await openEngine(name, (progress) => change({ progress }));
      controller.signal.throwIfAborted();
      change({ status: "running", engine });
      change({ ...(await body(engine, controller.signal)), status: "done" });
    } catch (error) {
      if (controller.signal.aborted) change({ status: "stopped" });
      else change({ status: "failed", message: describeError(error) });
    }
  };
  return {
    write: (name, request, branch = []) =>
      run(name, { prompt: [], tokens: [] }, async (engine, signal) => {
        const collector = collect(set, () => !signal.aborted);
        let end: EndEvent | undefined;
        const prompt = await joinBranch(engine, request.prompt, { branch, signal });
        const asked = { kind: "generate", ...request, prompt, ...detail } as const;
        for await (const event of engine.ask<"generate">(asked, signal)) {
          if (event.kind === "text") collector.prompt(event.tokens);
          else if (event.kind === "token") collector.token(event.token);
          else end = event;
        }
        collector.flush();
        return end ? { end } : {};
      }),
    read: (name, text) =>
      run(name, { prompt: [], tokens: [] }, async (engine, signal) => {
        const collector = collect(set, () => !signal.aborted);
        const asked = { kind: "read", prompt: text, ...detail } as const;
        for await (const { tokens } of engine.ask<"read">(asked, signal)) {
          for (const token of tokens) collector.token(token);
        }
        collector.flush();
        return {};
      }),
    measure: (name, request, branch = []) =>
      run(name, {}, async (engine, signal) => {
        const prompt = await joinBranch(engine, request.prompt, { branch, signal });
        return { speed: await measureSpeed(engine, { ...request, prompt }, signal) };
      }),
    stop: () => running.current?.abort(),
  };
}

/** The prompt's tokens with those of a branch; without one the prompt as it is. */
async function joinBranch(
  engine: Engine,
  prompt: LensPrompt,
  { branch, signal }: { readonly branch: readonly number[]; readonly signal: AbortSignal },
): Promise<LensPrompt> {
  if (branch.length === 0) return prompt;
  if (typeof prompt !== "string") return [...prompt, ...branch];
  const { tokens } = await askOne(engine, { kind: "tokenize", text: prompt }, signal);
  return [...tokens.map(({ id }) => id), ...branch];
}

function withoutEnd({ prompt, tokens, engine }: Generation): Generation {
  return { status: "idle", prompt, tokens, ...(engine && { engine }) };
}

/** Milliseconds between two showings of a growing text: the page's own work must not slow the model down. */
const showEvery = 90;

/** Gathers tokens and shows them about ten times a second, in a frame of the screen. */
function collect(
  set: Update,
  isCurrent: () => boolean,
): {
  prompt(tokens: readonly LensToken[]): void;
  token(token: LensToken): void;
  flush(): void;
} {
  let waiting: LensToken[] = [];
  let prompt: readonly LensToken[] | undefined;
  let frame = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let shownAt = 0;
  const flush = (): void => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = 0;
    timer = undefined;
    shownAt = performance.now();
    if (!isCurrent()) return;
    const [added, given] = [waiting, prompt];
    waiting = [];
    prompt = undefined;
    set((last) => ({
      ...last,
      ...(given && { prompt: given }),
      ...(added.length > 0 && { tokens: [...last.tokens, ...added] }),
    }));
  };
  const later = (): void => {
    // A page in the background has no frames.
    if (document.hidden) flush();
    else if (frame === 0 && timer === undefined) {
      timer = setTimeout(
        () => {
          frame = requestAnimationFrame(flush);
        },
        Math.max(0, shownAt + showEvery - performance.now()),
      );
    }
  };
  return {
    prompt(tokens) {
      prompt = tokens;
      later();
    },
    token(token) {
      waiting.push(token);
      later();
    },
    flush,
  };
}

/** Runs of each; the first warms up. */
const rounds = 3;

/** Tokens a second with the drafter and without, in turns: the medians. Neither asks for details. */
async function measureSpeed(
  engine: Engine,
  request: Omit<GenerateRequest, "kind">,
  signal: AbortSignal,
): Promise<Speed> {
  const rates = { drafted: [] as number[], autoregressive: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    for (const kind of ["autoregressive", "drafted"] as const) {
      const drafter = kind === "drafted" ? (request.drafter ?? "none") : "none";
      const asked = { ...request, kind: "generate", drafter } as const;
      for await (const event of engine.ask<"generate">(asked, signal)) {
        if (event.kind !== "end" || round === 0) continue;
        rates[kind].push(event.tokens / event.decodeSeconds);
      }
    }
  }
  const median = (values: number[]): number =>
    [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
  return { drafted: median(rates.drafted), autoregressive: median(rates.autoregressive) };
}
