/// <reference lib="esnext.disposable" preserve="true" />
/** Finds `nats-server` on this machine and runs one for as long as it is needed. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { access, constants, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { JetonError } from "../core/index.ts";
import {
  checkOptionRules,
  integerRule,
  type OptionRule,
  pathRule,
  secondsRule,
} from "../core/option-rules.ts";
import { transportErrors } from "./connect.ts";

/** Folders that packages install it into and that the PATH of a user may lack. */
const furtherFolders = ["/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/opt/homebrew/bin"];

/**
 * The path of `nats-server`: that of `JETON_NATS_SERVER`, otherwise the first on the PATH or in the usual folders;
 * undefined where there is none.
 */
export async function findNatsServer(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<string | undefined> {
  const named = environment["JETON_NATS_SERVER"];
  const name = process.platform === "win32" ? "nats-server.exe" : "nats-server";
  const folders = [...(environment["PATH"] ?? "").split(delimiter), ...furtherFolders];
  const paths = named ? [named] : folders.filter(Boolean).map((folder) => join(folder, name));
  for (const path of paths) {
    const isThere = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  return undefined;
}

/** Options of `startNatsServer`. */
export interface StartNatsServerOptions {
  /** Default: what `findNatsServer` finds. */
  readonly path?: string;
  /** Largest message in bytes. Default 64 MB, the most that the server allows. */
  readonly maxPayload?: number;
  /** Folder of JetStream; it stays when the server ends. Default: none, no JetStream. */
  readonly storeFolder?: string;
  /** Seconds until the server has to accept connections. Default 20. */
  readonly deadline?: number;
}

/** A running server that accepts connections from this machine only. */
export interface NatsServer {
  /** E.g. `"nats://127.0.0.1:41234"`. */
  readonly url: string;
  /** Connections without it are turned away; a new one for every server. */
  readonly token: string;
  /** Process identifier. */
  readonly pid: number;
  /** Ends the server and waits until it has ended. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const serverRules: Readonly<Record<keyof StartNatsServerOptions, OptionRule>> = {
  path: pathRule,
  maxPayload: integerRule(1, 64 * 2 ** 20),
  storeFolder: pathRule,
  deadline: secondsRule,
};

/**
 * Starts a server on a free port of the loopback interface.
 *
 * @throws JetonError `transport-option-invalid`, `nats-server-missing`, `nats-server-failed`
 */
export async function startNatsServer(options: StartNatsServerOptions = {}): Promise<NatsServer> {
  checkOptionRules(options, serverRules, transportErrors("a server"));
  const { maxPayload = 64 * 2 ** 20, storeFolder, deadline = 20 } = options;
  const path = options.path ?? (await findNatsServer());
  if (path === undefined) {
    throw new JetonError(
      "nats-server is not installed; install it (Debian: apt install nats-server) or name its path in JETON_NATS_SERVER",
      { code: "nats-server-missing", details: { expected: "nats-server on the PATH" } },
    );
  }
  const folder = await mkdtemp(join(tmpdir(), "jeton-nats-"));
  const token = randomBytes(24).toString("hex");
  const configuration = [
    "listen: 127.0.0.1:-1",
    `max_payload: ${maxPayload}`,
    `ports_file_dir: ${JSON.stringify(folder)}`,
    `authorization { token: ${JSON.stringify(token)} }`,
    ...(storeFolder === undefined
      ? []
      : [`jetstream { store_dir: ${JSON.stringify(storeFolder)} }`]),
  ].join("\n");
  const file = join(folder, "nats.conf");
  await writeFile(file, configuration, { mode: 0o600 });
  const child = spawn(path, ["-c", file], { stdio: ["ignore", "ignore", "pipe"] });
  const process_ = followProcess(child);
  const close = async (): Promise<void> => {
    await process_.end();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const url = await waitForPorts(folder, process_, deadline);
    return { url, token, pid: child.pid!, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface FollowedProcess {
  /** Why it ended; undefined while it runs. */
  ended(): string | undefined;
  /** The end of what it wrote. */
  output(): string;
  end(): Promise<void>;
}

function followProcess(child: ChildProcess): FollowedProcess {
  let output = "";
  let why: string | undefined;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-4000);
  });
  const exited = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      why ??= error.message;
      resolve();
    });
    child.once("exit", (status, signal) => {
      why ??= `ended with ${signal ?? `status ${status}`}`;
      resolve();
    });
  });
  // A server must not outlive the process that started it, nor keep it alive.
  const kill = (): void => void child.kill();
  process.once("exit", kill);
  child.unref();
  (child.stderr as { unref?(): void } | null)?.unref?.();
  return {
    ended: () => why,
    output: () => output,
    async end() {
      process.removeListener("exit", kill);
      if (why !== undefined) return;
      child.ref();
      child.kill("SIGTERM");
      const killLater = setTimeout(() => child.kill("SIGKILL"), 5000);
      await exited;
      clearTimeout(killLater);
    },
  };
}

/** The address from the file that the server writes when it listens. */
async function waitForPorts(
  folder: string,
  server: FollowedProcess,
  seconds: number,
): Promise<string> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const names = await readdir(folder);
    const file = names.find((name) => name.endsWith(".ports"));
    const text = file === undefined ? "" : await readFile(join(folder, file), "utf8");
    const url = /"(nats:\/\/[^"]+)"/.exec(text)?.[1];
    if (url !== undefined) return url;
    const why = server.ended();
    if (why !== undefined || performance.now() > end) {
      const reason = why ?? `no port within ${seconds} seconds`;
      throw new JetonError(`nats-server did not start: ${reason}`, {
        code: "nats-server-failed",
        details: { reason, output: server.output() },
      });
    }
    await wait(20);
  }
}
