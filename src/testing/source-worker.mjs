/**
 * Entry of worker threads while jeton runs from its TypeScript sources (tests, development): Node 20
 * needs tsx to load them, and a worker does not inherit its hooks. The built package never uses this.
 */
import { register } from "tsx/esm/api";

register();
await import(new URL("../tensor/service-worker.ts", import.meta.url).href);
