// `npx vite build`, or `npx vite` while developing. The model is copied to where Vite serves files from.
import { cpSync } from "node:fs";
import { fileURLToPath } from "node:url";

const model = new URL("models/jeton-nano", import.meta.resolve("jeton/package.json"));
cpSync(fileURLToPath(model), "public/model", { recursive: true });

export default { build: { target: "es2022" } };
