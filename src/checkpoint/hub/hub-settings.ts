/**
 * Address of the hub, access token and cache folder: the environment variables that Python
 * tools read, with the same precedence.
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { JetonError } from "../../core/index.ts";

/** Variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Settings of the hub; each may be given in `HubOptions` instead of the environment. */
export interface HubSettings {
  /** Address of the hub without a final slash. `HF_ENDPOINT`; default `https://huggingface.co`. */
  readonly endpoint: string;
  /** Folder of the cache. `HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`. */
  readonly cacheFolder: string;
  /** Access token. `HF_TOKEN`, else the file that `HF_TOKEN_PATH` names, else `$HF_HOME/token`. */
  readonly token?: string;
  /** Never use the network. `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` is 1, true, yes or on. */
  readonly offline: boolean;
}

/** Address, token and cache of the hub. Defaults come from the environment, as in Python's tools. */
export interface HubOptions {
  endpoint?: string;
  cacheFolder?: string;
  /** Access token; the empty string means none and overrides the environment. */
  token?: string;
  offline?: boolean;
  /** Default `process.env`. */
  environment?: Environment;
}

/**
 * Reads the settings; options go before the environment.
 *
 * @throws JetonError `hub-endpoint-invalid`, `hub-token-invalid`.
 */
export async function readHubSettings(options: HubOptions = {}): Promise<HubSettings> {
  const { environment = process.env } = options;
  const home = hubHome(environment);
  const cache =
    present(environment["HF_HUB_CACHE"]) ?? present(environment["HUGGINGFACE_HUB_CACHE"]);
  const token = checkToken(options.token ?? (await findToken(environment, home)));
  return {
    endpoint: checkEndpoint(
      options.endpoint ?? present(environment["HF_ENDPOINT"]) ?? "https://huggingface.co",
    ),
    cacheFolder: resolve(options.cacheFolder ?? (cache ? expandHome(cache) : join(home, "hub"))),
    ...(token && { token }),
    offline:
      options.offline ??
      (isTrue(environment["HF_HUB_OFFLINE"]) || isTrue(environment["TRANSFORMERS_OFFLINE"])),
  };
}

function hubHome(environment: Environment): string {
  const home = present(environment["HF_HOME"]);
  if (home) return expandHome(home);
  const cache = present(environment["XDG_CACHE_HOME"]);
  return join(cache ? expandHome(cache) : join(homedir(), ".cache"), "huggingface");
}

async function findToken(environment: Environment, home: string): Promise<string | undefined> {
  const named = environment["HF_TOKEN"] ?? environment["HUGGING_FACE_HUB_TOKEN"];
  if (present(named?.trim())) return named;
  if (isTrue(environment["HF_HUB_DISABLE_IMPLICIT_TOKEN"])) return undefined;
  const path = present(environment["HF_TOKEN_PATH"]);
  // No file, or none that we may read: anonymous, as in Python.
  return readFile(path ? expandHome(path) : join(home, "token"), "utf8").catch(() => undefined);
}

function checkToken(token: string | undefined): string | undefined {
  const trimmed = token?.trim();
  if (!trimmed) return undefined;
  if (/^[\x21-\x7e]+$/.test(trimmed)) return trimmed;
  // The token itself stays out of messages and logs.
  throw new JetonError("the hub token holds white space or characters that no token has", {
    code: "hub-token-invalid",
    details: { length: trimmed.length, expected: "visible ASCII characters" },
  });
}

function checkEndpoint(endpoint: string): string {
  let url: URL | undefined;
  try {
    url = new URL(endpoint);
  } catch {
    // reported below
  }
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.search && !url.hash) {
    return url.href.replace(/\/+$/, "");
  }
  throw new JetonError(`the hub endpoint ${JSON.stringify(endpoint)} is not an http(s) address`, {
    code: "hub-endpoint-invalid",
    details: { found: endpoint, expected: "https://host, without user, query or fragment" },
  });
}

function present(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function expandHome(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(1)) : path;
}

function isTrue(value: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(value ?? "");
}
