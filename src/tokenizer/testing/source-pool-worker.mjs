/**
 * Entry of the pool's threads while jeton runs from its TypeScript sources: a thread does not inherit
 * the hooks that load them. The built package never uses this.
 */
import { register } from "tsx/esm/api";

register();
await import(new URL("../pool/pool-worker.ts", import.meta.url).href);
