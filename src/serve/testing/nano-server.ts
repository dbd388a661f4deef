/**
 * Servers over copies of jeton-nano that a test changes: another chat template, other settings.
 */
import {
  copyFileSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type LoadedModel, loadModel, type WeightFormat } from "../../model/index.ts";
import { type RunningServer, type StartServerOptions, startServer } from "../index.ts";

/** The bundled model's folder. */
export const nanoFolder: string = fileURLToPath(
  new URL("../../../models/jeton-nano", import.meta.url),
);

/** A running server, its model, and ways to ask it. */
export interface NanoServer extends AsyncDisposable {
  readonly model: LoadedModel;
  readonly server: RunningServer;
  readonly lines: readonly string[];
  /** Posts a body, as an object or as JSON text. */
  post(path: string, body: object | string): Promise<{ status: number; document: Answer }>;
  /** Posts a body and returns the events of the stream. */
  stream(path: string, body: object): Promise<string[]>;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into documents of any form
export type Answer = any;

export interface NanoServerOptions extends Partial<StartServerOptions> {
  chatTemplate?: string;
  /** Of the weights. Default: as `loadModel` chooses. */
  format?: WeightFormat;
  /** Changes the copied folder before it is opened. */
  change?: (folder: string) => void;
}

/** Starts a server over a copy of jeton-nano. */
export async function startNanoServer(options: NanoServerOptions = {}): Promise<NanoServer> {
  const { chatTemplate, change, format, ...serverOptions } = options;
  const folder = mkdtempSync(join(tmpdir(), "jeton-serve-"));
  for (const name of readdirSync(nanoFolder)) {
    const link = name.endsWith(".safetensors") ? symlinkSync : copyFileSync;
    link(join(nanoFolder, name), join(folder, name));
  }
  if (chatTemplate !== undefined) writeFileSync(join(folder, "chat_template.jinja"), chatTemplate);
  change?.(folder);
  const model = await loadModel(folder, {
    threads: 1,
    slots: 4,
    inline: true,
    ...(format !== undefined && { format }),
  });
  const lines: string[] = [];
  const server = await startServer(model, {
    port: 0,
    host: "127.0.0.1",
    modelName: "nano",
    onLog: (line) => lines.push(line),
    ...serverOptions,
  });
  const send = (path: string, body: object | string): Promise<Response> =>
    fetch(`${server.url}/${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  return {
    model,
    server,
    lines,
    async post(path, body) {
      const response = await send(path, body);
      return { status: response.status, document: (await response.json()) as Answer };
    },
    async stream(path, body) {
      const text = await (await send(path, { ...body, stream: true })).text();
      return text.split("\n\n").filter((event) => event !== "");
    },
    async [Symbol.asyncDispose]() {
      await server.close({ graceMs: 0 });
      await model.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
