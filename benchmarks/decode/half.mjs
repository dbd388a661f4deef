/**
 * One half of a side-by-side measurement lives in a process of its own, so that neither sees the
 * other's heap, threads or garbage. This file is the line between the harness and such a process.
 *
 * A half gives `serveHalf` a function that makes a model with the same few methods:
 *
 * @typedef {object} BenchModel
 * @property {(ids: number[]) => Promise<number>} prefill appends the ids to the sequence; the greedy
 *   choice after them
 * @property {(count: number) => Promise<number[]>} decode feeds the last choice and chooses greedily,
 *   `count` times, one token at a time; the choices
 * @property {(length?: number) => Promise<void>} reset cuts the sequence to its first `length` tokens
 *   (default 0); the next `decode` feeds the choice that was made after them
 * @property {(text: string) => Promise<number[]>} [encode] ids of a text
 * @property {(request: any) => Promise<any>} [run] one whole request, where a benchmark measures those
 * @property {() => Promise<Record<string, unknown>>} [describe] settings worth printing
 * @property {() => Promise<Record<string, unknown>>} memory what the model knows of its own memory and
 *   counters; the process's resident size is added to it
 * @property {() => Promise<void>} close
 *
 * Times are taken inside the process, around the call alone; the channel is not part of them.
 */
import { fork } from "node:child_process";

/**
 * Answers the commands of the parent process until it closes the channel. Called by a half's script.
 * @param {(options: any) => Promise<BenchModel>} create
 */
export function serveHalf(create) {
  /** @type {BenchModel | undefined} */
  let model;
  const commands = {
    create: async (options) => {
      model = await create(options);
      return model.describe?.();
    },
    prefill: (ids) => model.prefill(ids),
    decode: (count) => model.decode(count),
    reset: (length) => model.reset(length),
    encode: (text) => model.encode(text),
    run: (request) => model.run(request),
    memory: async () => {
      globalThis.gc?.();
      return { resident: process.memoryUsage.rss(), ...(await model.memory()) };
    },
    close: () => model?.close(),
  };
  let queue = Promise.resolve();
  process.on("message", ({ id, command, argument }) => {
    queue = queue.then(async () => {
      globalThis.gc?.();
      const cpu = process.cpuUsage();
      const start = performance.now();
      try {
        const value = await commands[command](argument);
        const milliseconds = performance.now() - start;
        const { user, system } = process.cpuUsage(cpu);
        process.send({ id, value, milliseconds, cpuMilliseconds: (user + system) / 1000 });
      } catch (error) {
        process.send({
          id,
          error: { message: String(error?.message ?? error), code: error?.code },
        });
      }
    });
  });
}

/**
 * Starts a half's script and makes its model.
 * @param {string} script path of the module that calls `serveHalf`
 * @param {Record<string, unknown>} options handed to its `create`
 * @param {Record<string, string>} [environment] variables added to those of this process
 * @returns {Promise<{ settings: unknown, call(command: string, argument?: unknown): Promise<{ value: any, milliseconds: number, cpuMilliseconds: number }>, stop(): Promise<void> }>}
 */
export async function startHalf(script, options, environment = {}) {
  const child = fork(script, [], {
    execArgv: ["--expose-gc"],
    env: { ...process.env, ...environment },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const pending = new Map();
  let last = 0;
  let ended;
  child.on("message", ({ id, error, ...answer }) => {
    const { resolve, reject } = pending.get(id);
    pending.delete(id);
    if (error === undefined) resolve(answer);
    else reject(Object.assign(new Error(error.message), { code: error.code }));
  });
  child.on("exit", (status, signal) => {
    ended = new Error(`${script} ended (${signal ?? `status ${status}`})`);
    for (const { reject } of pending.values()) reject(ended);
    pending.clear();
  });
  const call = (command, argument) =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) return reject(ended);
      const id = ++last;
      pending.set(id, { resolve, reject });
      child.send({ id, command, argument });
    });
  const stop = async () => {
    if (ended !== undefined) return;
    const exited = new Promise((resolve) => child.once("exit", resolve));
    try {
      await call("close");
    } finally {
      child.disconnect();
      const impatience = setTimeout(() => child.kill("SIGKILL"), 5000);
      await exited;
      clearTimeout(impatience);
    }
  };
  try {
    const { value: settings } = await call("create", options);
    return { settings, call, stop };
  } catch (error) {
    if (ended === undefined) await stop();
    throw error;
  }
}
