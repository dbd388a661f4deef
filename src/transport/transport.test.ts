import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodeFrame, encodeFrame } from "./array-frames.ts";
import { connectTransport, type Transport } from "./connect.ts";
import { findNatsServer, type NatsServer, startNatsServer } from "./nats-server.ts";

describe("frames", () => {
  test("a head and one array: 8 bytes, the head, zeros, the array", () => {
    const bytes = encodeFrame({ head: 7, arrays: [Uint8Array.of(1, 2)] });
    const text = '{"head":7,"arrays":[["u8",2]]}';
    expect(new TextDecoder().decode(bytes.subarray(8, 8 + text.length))).toBe(text);
    expect(bytes).toHaveLength(40 + 8);
    expect([...bytes.subarray(40)]).toEqual([1, 2, 0, 0, 0, 0, 0, 0]);
  });

  const arrays = fc.array(
    fc.oneof(
      fc.float64Array({ maxLength: 5 }),
      fc.float32Array({ maxLength: 5 }),
      fc.int32Array({ maxLength: 5 }),
      fc.uint8Array({ maxLength: 5 }),
    ),
    { maxLength: 3 },
  );

  test("any frame comes back as it was, from any place of a buffer", () => {
    fc.assert(
      fc.property(fc.jsonValue(), arrays, fc.nat(9), (value, own, offset) => {
        const head: unknown = JSON.parse(JSON.stringify(value));
        const bytes = encodeFrame({ head, arrays: own });
        const larger = new Uint8Array(bytes.length + offset);
        larger.set(bytes, offset);
        expect(decodeFrame(larger.subarray(offset))).toEqual({ head, arrays: own });
        const read = decodeFrame(Buffer.from(larger.buffer, offset));
        larger.fill(255);
        expect(read).toEqual({ head, arrays: own });
      }),
    );
  });

  test("anything else is refused, cut frames too", () => {
    const bytes = encodeFrame({ head: { a: 1 }, arrays: [Float64Array.of(1, 2)] });
    const invalid = expect.objectContaining({ code: "transport-frame-invalid" });
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeFrame(bytes.subarray(0, length))).toThrow(invalid);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
        expect(() => decodeFrame(noise)).toThrow(invalid);
      }),
    );
    expect(() => encodeFrame({ head: 1, arrays: [[1] as never] })).toThrow(invalid);
  });
});

const found = await findNatsServer();

test("a server that is not there is said to be missing", async () => {
  expect(await findNatsServer({ JETON_NATS_SERVER: "no/such/file" })).toBeUndefined();
  await expect(startNatsServer({ path: process.execPath, deadline: 5 })).rejects.toMatchObject({
    code: "nats-server-failed",
  });
  await expect(connectTransport({ url: "nats://127.0.0.1:1" })).rejects.toMatchObject({
    code: "transport-unreachable",
  });
});

// Skipped, and shown as skipped, where nats-server is not installed.
describe.skipIf(found === undefined)("messages on NATS", () => {
  let server: NatsServer;
  let one: Transport;
  let other: Transport;
  beforeAll(async () => {
    server = await startNatsServer({ maxPayload: 2 ** 20 });
    one = await connectTransport(server);
    other = await connectTransport(server);
  });
  afterAll(async () => {
    await one?.close();
    await other?.close();
    await server?.close();
  });

  test("a request is answered with arrays", async () => {
    const stop = other.respond("test.double", ({ head, arrays }) => ({
      head: { was: head },
      arrays: [(arrays[0] as Float64Array).map((value) => value * 2)],
    }));
    await other.flush();
    const answer = await one.request("test.double", { head: "x", arrays: [Float64Array.of(1, 2)] });
    expect(answer).toEqual({ head: { was: "x" }, arrays: [Float64Array.of(2, 4)] });
    stop();
  });

  test("an error of the responder arrives with its code; its frames too", async () => {
    other.respond("test.fail", () => {
      throw new RangeError("out of range");
    });
    other.respond("test.large", () => ({ arrays: [new Uint8Array(2 ** 20)] }));
    await other.flush();
    await expect(one.request("test.fail")).rejects.toMatchObject({
      code: "transport-responder-failed",
      message: "out of range",
    });
    await expect(one.request("test.large")).rejects.toMatchObject({
      code: "transport-message-too-large",
    });
  });

  test("messages reach every subscriber of a subject, requests of a queue one", async () => {
    const seen: string[] = [];
    const stops: (() => void)[] = [];
    const got = new Promise<void>((resolve) => {
      const note = ({ subject }: { subject: string }): void => {
        if (seen.push(subject) === 2) resolve();
      };
      stops.push(other.subscribe("test.news.*", note), other.subscribe("test.>", note));
    });
    await other.flush();
    one.publish("test.news.today");
    await got;
    expect(seen).toEqual(["test.news.today", "test.news.today"]);
    for (const stop of stops) stop();
    await other.flush();
    const counts = [0, 0];
    for (const at of [0, 1]) {
      other.respond("queue.work", () => ({ head: ++counts[at]! }), { queue: "workers" });
    }
    await other.flush();
    await Promise.all(Array.from({ length: 20 }, () => one.request("queue.work")));
    expect(counts[0]! + counts[1]!).toBe(20);
  });

  test("silence, no responder, too much, a wrong subject: each has its code", async () => {
    other.respond("test.silent", () => new Promise(() => {}));
    await other.flush();
    for (const deadline of [Number.NaN, 0, 1e9]) {
      const refusal = { code: "transport-option-invalid", details: { value: deadline } };
      await expect(one.request("test.silent", {}, { deadline })).rejects.toMatchObject(refusal);
      await expect(connectTransport({ ...server, deadline })).rejects.toMatchObject(refusal);
      await expect(startNatsServer({ deadline })).rejects.toMatchObject(refusal);
    }
    const silent = one.request("test.silent", {}, { deadline: 0.1 });
    await expect(silent).rejects.toMatchObject({ code: "transport-deadline" });
    await expect(one.request("test.absent")).rejects.toMatchObject({
      code: "transport-no-responder",
    });
    const large = { arrays: [new Uint8Array(2 ** 20)] };
    expect(() => one.publish("test.x", large)).toThrow(
      expect.objectContaining({ code: "transport-message-too-large" }),
    );
    for (const subject of ["", "a..b", "a b", "a.*"]) {
      expect(() => one.publish(subject)).toThrow(
        expect.objectContaining({ code: "transport-subject-invalid" }),
      );
    }
    const stopped = AbortSignal.abort(new Error("stopped"));
    await expect(one.request("test.silent", {}, { signal: stopped })).rejects.toThrow("stopped");
  });

  test("no connection without the token; a server that ended closes its connections", async () => {
    await expect(connectTransport({ url: server.url })).rejects.toMatchObject({
      code: "transport-unreachable",
    });
    const short = await startNatsServer();
    const left = await connectTransport(short);
    left.respond("still.there", () => new Promise(() => {}));
    await left.flush();
    const waiting = expect(left.request("still.there")).rejects.toMatchObject({
      code: "transport-closed",
    });
    await short.close();
    await waiting;
    await expect(left.request("still.there")).rejects.toMatchObject({ code: "transport-closed" });
  });
});
