import { once } from "node:events";
import { describe, expect, test, vi } from "vitest";
import { createFakeModel, createGate, until } from "./testing/fake-model.ts";
import {
  closeServersAfterEach,
  failureOf,
  model,
  openRaw,
  post,
  start,
} from "./testing/running-server.ts";

closeServersAfterEach();

describe("many at once", () => {
  test("at most `slots` run, the line is bounded, and beyond it a client is told when to return", async () => {
    const gate = createGate();
    const fake = createFakeModel({ slots: 2, pace: gate.wait });
    const { url } = await start(fake, { maxQueue: 3 });
    const ask = (n: number): Promise<Response> =>
      post(`${url}/v1/completions`, { prompt: "a", n, max_tokens: 3 });
    const accepted = [ask(1), ask(4)];
    const health = async (): Promise<{ running: number; queued: number }> =>
      (await fetch(`${url}/health`)).json() as Promise<{ running: number; queued: number }>;
    await until(async () => (await health()).queued === 3);
    expect(fake.model.openSequences).toBe(2);
    const refused = await ask(1);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
    expect(await failureOf(refused)).toMatchObject({
      status: 429,
      code: "queue_full",
      type: "rate_limit_error",
    });
    gate.open();
    for (const answer of await Promise.all(accepted)) expect(answer.status).toBe(200);
    expect(await health()).toMatchObject({ running: 0, queued: 0 });
    expect(fake.model.openSequences).toBe(0);
  });

  test("a client that leaves frees its sequence, running or waiting", async () => {
    const gate = createGate();
    const fake = createFakeModel({
      slots: 1,
      pace: (_sequence, position) => (position < 2 ? Promise.resolve() : gate.wait()),
    });
    const { url, port } = await start(fake);
    const body = { prompt: "a", max_tokens: 50, stream: true };
    const running = await openRaw(port, body);
    await once(running, "data");
    const waiting = await openRaw(port, { ...body, stream: false });
    const health = async (): Promise<{ running: number; queued: number }> =>
      (await fetch(`${url}/health`)).json() as Promise<{ running: number; queued: number }>;
    await until(async () => (await health()).queued === 1);
    waiting.destroy();
    await until(async () => (await health()).queued === 0);
    expect(fake.model.openSequences).toBe(1);
    running.destroy();
    await until(() => fake.model.openSequences === 0);
    await until(async () => (await health()).running === 0);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain("jeton_aborted_requests_total 2\n");
    expect(metrics).toContain('jeton_requests_total{route="/v1/completions",status="499"} 1\n');
    gate.open();
  });

  test("a reader that does not read holds the generation back, and is cut in the end, quietly", async () => {
    const fake = createFakeModel({ contextLength: 100_000, tokenText: "x".repeat(50_000) });
    const lines: string[] = [];
    const printed = [vi.spyOn(console, "error"), vi.spyOn(console, "info")];
    const { port } = await start(fake, { stallMs: 400, onLog: (line) => lines.push(line) });
    const socket = await openRaw(port, { prompt: "a", max_tokens: 20_000, stream: true });
    socket.pause();
    let last = -1;
    await until(async () => {
      const before = last;
      last = fake.generated();
      await new Promise((resolve) => setTimeout(resolve, 50));
      return before === last && last > 0;
    });
    // A gigabyte was asked for; what the sockets hold is a few megabytes.
    expect(last).toBeLessThan(1000);
    await until(() => fake.model.openSequences === 0);
    await until(() => lines.length === 2);
    expect(lines[0]).toMatch(/^req_\w+ is cut: nothing was read for 0\.4 s$/);
    expect(lines[1]).toMatch(/^POST \/v1\/completions 200 aborted/);
    for (const spy of printed) {
      expect(spy).not.toHaveBeenCalled();
      spy.mockRestore();
    }
    socket.destroy();
  });
});

describe("closing", () => {
  test("running streams finish, other requests are turned away, and a second call waits as well", async () => {
    const gate = createGate();
    const fake = createFakeModel({
      slots: 1,
      pace: (_sequence, position) => (position < 2 ? Promise.resolve() : gate.wait()),
    });
    const { url, client, close } = await start(fake);
    const stream = await client.completions.create({
      model,
      prompt: "a",
      max_tokens: 9,
      stream: true,
    });
    const queued = post(`${url}/v1/completions`, { prompt: "a" });
    await until(async () => {
      const body = (await (await fetch(`${url}/health`)).json()) as { queued: number };
      return body.queued === 1;
    });
    const closed = close();
    expect(await failureOf(await queued)).toMatchObject({
      status: 503,
      code: "server_shutting_down",
    });
    const health = await fetch(`${url}/health`);
    expect([health.status, health.headers.get("connection")]).toEqual([503, "close"]);
    expect((await post(`${url}/v1/completions`, { prompt: "a" })).status).toBe(503);
    gate.open();
    let text = "";
    for await (const chunk of stream) text += chunk.choices[0]?.text ?? "";
    expect(text).toHaveLength(9);
    await Promise.all([closed, close()]);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
    expect(fake.model.openSequences).toBe(0);
  });

  test("what outlasts the grace is ended with an error, and the sequences are free", async () => {
    const fake = createFakeModel({
      pace: (_sequence, position) => (position < 2 ? Promise.resolve() : new Promise(() => {})),
    });
    const { url, client, close } = await start(fake);
    const stream = await client.completions.create({
      model,
      prompt: "a",
      max_tokens: 9,
      stream: true,
    });
    const whole = post(`${url}/v1/completions`, { prompt: "a" });
    await until(() => fake.model.openSequences === 2);
    const read = async (): Promise<void> => {
      for await (const chunk of stream) expect(chunk.object).toBe("text_completion");
    };
    const reading = expect(read()).rejects.toThrow(/shutting down/);
    void close();
    await close({ graceMs: 20 });
    await reading;
    expect((await whole).status).toBe(503);
    expect(fake.model.openSequences).toBe(0);
  });
});
