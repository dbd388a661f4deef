/**
 * Entry of the thread that trains a tokenizer while jeton runs from its TypeScript sources: a thread
 * does not inherit the hooks that load them. The built package never uses this.
 */
import { register } from "tsx/esm/api";

register();
await import(new URL("../data/tokenizer-worker.ts", import.meta.url).href);
