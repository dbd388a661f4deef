/** Training steps in PyTorch, in a process of its own: `torch_step.py`. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/**
 * @param {string} python a Python with PyTorch, such as Debian's with `python3-torch` and `libopenblas0-pthread`
 * @param {Record<string, number>} shape
 * @returns {Promise<{ version: string, seconds: () => Promise<number>, close: () => void }>}
 */
export async function openTorch(python, shape) {
  const script = fileURLToPath(new URL("./torch_step.py", import.meta.url));
  const child = spawn(python, [script, JSON.stringify(shape)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, "exit").then(([code]) => {
    throw new Error(`${python} ended with ${code}: is PyTorch installed?`);
  });
  ended.catch(() => {});
  const read = async () => JSON.parse((await Promise.race([lines.next(), ended])).value);
  const { version } = await read();
  return {
    version,
    async seconds() {
      child.stdin.write("step\n");
      return (await read()).seconds;
    },
    close: () => child.stdin.end(),
  };
}
