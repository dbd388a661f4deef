/**
 * Access to the server: the API key, and protection of local servers from web pages.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";
import { ApiError } from "./errors.ts";

/** Makes a check of the `authorization` header against the key, in constant time. */
export function createKeyCheck(apiKey: string): (authorization: string | undefined) => void {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const expected = digest(apiKey);
  return (authorization) => {
    const given = /^Bearer +(.+)$/i.exec(authorization ?? "")?.[1];
    // Digests have one length, so the comparison tells nothing about the key's.
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return;
    throw new ApiError(
      given === undefined
        ? "This server needs an API key, in the header authorization: Bearer KEY."
        : "Incorrect API key provided.",
      { status: 401, code: "invalid_api_key" },
    );
  };
}

/** True for addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * Makes a check of the `host` header. A web page can point its own domain at 127.0.0.1 and then talk
 * to local servers as if they were its own (DNS rebinding); such a request bears the page's domain.
 * Addresses and `localhost` are always allowed.
 */
export function createHostCheck(allowed: readonly string[]): (header: string | undefined) => void {
  const names = new Set(allowed.map((name) => name.toLowerCase()));
  return (header) => {
    const name = (header ?? "").toLowerCase().replace(/:\d+$/, "");
    const bare = name.replace(/^\[(.*)\]$/, "$1");
    if (isIP(bare) !== 0 || name === "localhost" || name.endsWith(".localhost")) return;
    if (names.has(name)) return;
    throw new ApiError(`Requests for the host '${name.slice(0, 200)}' are not answered here.`, {
      status: 403,
      code: "host_not_allowed",
    });
  };
}
