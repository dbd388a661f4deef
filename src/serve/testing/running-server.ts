/** Servers over a fake model, and requests to them. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import OpenAI from "openai";
import { afterEach } from "vitest";
import type { Generate } from "../../generate/types.ts";
import { type RunningServer, type StartServerOptions, startServerWith } from "../server.ts";
import { createFakeModel, type FakeModel } from "./fake-model.ts";

export const chatTemplate: string =
  "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}" +
  "{% if add_generation_prompt %}[assistant]{% endif %}";

const servers: RunningServer[] = [];

export async function start(
  fake: FakeModel = createFakeModel(),
  options: Partial<StartServerOptions> = {},
  generate: Generate = fake.generate,
): Promise<RunningServer & { client: OpenAI; fake: FakeModel }> {
  const server = await startServerWith({ generate, score: fake.score }, fake.model, {
    port: 0,
    host: "127.0.0.1",
    ...options,
  });
  servers.push(server);
  const client = new OpenAI({
    baseURL: `${server.url}/v1`,
    apiKey: options.apiKey ?? "none",
    maxRetries: 0,
  });
  return { ...server, client, fake };
}

export function post(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
}

export interface Failure {
  error: { message: string; type: string; param: string | null; code: string | null };
}

export async function failureOf(
  response: Response,
): Promise<Failure["error"] & { status: number }> {
  const { error } = (await response.json()) as Failure;
  return { ...error, status: response.status };
}

/** A request on a connection of its own, whose answer is read only when the test says so. */
export async function openRaw(
  port: number,
  body: object,
  path = "/v1/completions",
): Promise<Socket> {
  const text = JSON.stringify(body);
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
  return socket;
}

export const model = "fake/letters";

/** Closes the servers of each test of a file after it. */
export function closeServersAfterEach(): void {
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close({ graceMs: 0 })));
  });
}
