import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ApiError } from "./errors.ts";
import { AdmissionQueue, type Place } from "./queue.ts";

/** Lets everything that waits on settled promises run. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function watch(place: Place): { state: "waiting" | "granted" | "refused"; reason?: unknown } {
  const seen: { state: "waiting" | "granted" | "refused"; reason?: unknown } = { state: "waiting" };
  place.granted.then(
    () => {
      seen.state = "granted";
    },
    (reason: unknown) => {
      seen.state = "refused";
      seen.reason = reason;
    },
  );
  return seen;
}

function errorOf(action: () => unknown): ApiError {
  try {
    action();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new Error("expected an ApiError");
}

describe("AdmissionQueue", () => {
  test("grants free places at once and the rest in order of arrival", async () => {
    const queue = new AdmissionQueue({ places: 2, maxWaiting: 4 });
    const places = [queue.enter(1), queue.enter(2), queue.enter(1)].flat();
    const seen = places.map(watch);
    await settle();
    expect(seen.map((one) => one.state)).toEqual(["granted", "granted", "waiting", "waiting"]);
    expect([queue.running, queue.waiting]).toEqual([2, 2]);
    places[0]!.release();
    await settle();
    expect(seen.map((one) => one.state)).toEqual(["granted", "granted", "granted", "waiting"]);
  });

  test("takes all places of a request or none", () => {
    const queue = new AdmissionQueue({ places: 1, maxWaiting: 2 });
    queue.enter(1);
    const error = errorOf(() => queue.enter(3));
    expect([error.status, error.body.code]).toEqual([429, "queue_full"]);
    expect(error.retryAfter).toBeGreaterThanOrEqual(1);
    expect([queue.running, queue.waiting]).toEqual([1, 0]);
    queue.enter(2);
    expect(queue.waiting).toBe(2);
  });

  test("a request that could never fit is the client's mistake, not the server's load", () => {
    const queue = new AdmissionQueue({ places: 2, maxWaiting: 3 });
    expect(errorOf(() => queue.enter(6)).status).toBe(400);
    expect(queue.enter(5)).toHaveLength(5);
  });

  test("an aborted request leaves the line; a running place stays until it is given back", async () => {
    const queue = new AdmissionQueue({ places: 1, maxWaiting: 2 });
    const first = new AbortController();
    const second = new AbortController();
    const [running] = queue.enter(1, first.signal);
    const [waiting] = queue.enter(1, second.signal);
    const seen = watch(waiting!);
    const reason = new Error("gone");
    second.abort(reason);
    first.abort();
    await settle();
    expect(seen).toEqual({ state: "refused", reason });
    expect([queue.running, queue.waiting]).toEqual([1, 0]);
    running!.release();
    running!.release();
    expect(queue.running).toBe(0);
  });

  test("closing refuses those without a place and lets begun requests have theirs", async () => {
    const queue = new AdmissionQueue({ places: 1, maxWaiting: 4 });
    const begun = queue.enter(2);
    const late = queue.enter(1);
    const seen = [...begun, ...late].map(watch);
    queue.close();
    await settle();
    expect(seen.map((one) => one.state)).toEqual(["granted", "waiting", "refused"]);
    expect(errorOf(() => queue.enter(1)).status).toBe(503);
    begun[0]!.release();
    await settle();
    expect(seen[1]!.state).toBe("granted");
  });

  test("the wait that a busy server names grows with its line and is bounded", () => {
    let now = 0;
    const queue = new AdmissionQueue({ places: 1, maxWaiting: 0, now: () => now });
    for (let i = 0; i < 50; i++) {
      const [place] = queue.enter(1);
      now += 1000;
      place!.release();
    }
    queue.enter(1);
    expect(errorOf(() => queue.enter(1)).retryAfter).toBe(60);
  });

  test("at random: never too many run, order is kept, no place stays empty", async () => {
    const action = fc.oneof(
      fc.record({ kind: fc.constant("enter" as const), count: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant("release" as const), which: fc.nat() }),
      fc.record({ kind: fc.constant("abort" as const), which: fc.nat() }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.nat(6),
        fc.array(action, { maxLength: 60 }),
        async (places, maxWaiting, actions) => {
          const queue = new AdmissionQueue({ places, maxWaiting });
          const parties: AbortController[] = [];
          const held: { place: Place; seen: ReturnType<typeof watch>; isReleased: boolean }[] = [];
          for (const step of actions) {
            if (step.kind === "enter") {
              const controller = new AbortController();
              const fits = queue.running + queue.waiting + step.count <= places + maxWaiting;
              try {
                for (const place of queue.enter(step.count, controller.signal)) {
                  held.push({ place, seen: watch(place), isReleased: false });
                }
                expect(fits).toBe(true);
                parties.push(controller);
              } catch (error) {
                if (!(error instanceof ApiError)) throw error;
                expect(fits).toBe(false);
              }
            } else if (step.kind === "release" && held.length > 0) {
              const one = held[step.which % held.length]!;
              one.isReleased = true;
              one.place.release();
            } else if (step.kind === "abort" && parties.length > 0) {
              parties[step.which % parties.length]!.abort();
            }
            await settle();
            const running = held.filter((one) => one.seen.state === "granted" && !one.isReleased);
            const waiting = held.filter((one) => one.seen.state === "waiting");
            expect(queue.running).toBe(running.length);
            expect(queue.waiting).toBe(waiting.length);
            expect(running.length).toBeLessThanOrEqual(places);
            expect(waiting.length === 0 || running.length === places).toBe(true);
            // First come, first served: no waiting sequence came before one that was admitted.
            const lastIn = held.findLastIndex((one) => one.seen.state === "granted");
            const firstOut = held.findIndex((one) => one.seen.state === "waiting");
            expect(firstOut === -1 || lastIn < firstOut).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
