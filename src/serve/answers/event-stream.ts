/**
 * Server-sent events over a web stream.
 */

/** One event. */
export interface ServerEvent {
  /** The event's name, where the format names its events. */
  readonly event?: string;
  readonly data: object;
}

/** One event as it stands on the wire. */
export function writeEvent({ event, data }: ServerEvent): string {
  const name = event === undefined ? "" : `event: ${event}\n`;
  return `${name}data: ${JSON.stringify(data)}\n\n`;
}

/** The event that says that nothing follows. */
export const doneEvent = "data: [DONE]\n\n";

export interface EventStreamOptions {
  /** The next events; an empty list where there is nothing to show yet; undefined at the end. */
  next: () => Promise<readonly ServerEvent[] | undefined>;
  /** Called when the stream ends, fails, is cancelled or stalls; calling it again must be harmless. */
  close: () => Promise<void>;
  /** What a client is told when `next` throws. */
  describeFailure: (error: unknown) => readonly ServerEvent[];
  /** Whether `[DONE]` ends a stream that did not fail. */
  isDoneMarked: boolean;
  /** Milliseconds that a client may leave an event unread before it counts as stalled. */
  stallMs: number;
  /** Cuts the connection of a stalled client: nothing that is written would reach it. */
  onStall: () => void;
}

/**
 * A body of events. `next` is called only when the reader asks for more, so that a slow reader holds
 * back the source. After a failure its events are the last ones, without `[DONE]`.
 */
export function createEventStream(options: EventStreamOptions): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stall: NodeJS.Timeout | undefined;
  const stop = (): Promise<void> => {
    clearTimeout(stall);
    return options.close();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(stall);
        let text = "";
        try {
          while (text === "") {
            const events = await options.next();
            if (events === undefined) {
              // Sequences are free before the client can see the end.
              await stop();
              if (options.isDoneMarked) controller.enqueue(encoder.encode(doneEvent));
              controller.close();
              return;
            }
            text = events.map(writeEvent).join("");
          }
        } catch (error) {
          await stop();
          const last = options.describeFailure(error).map(writeEvent).join("");
          controller.enqueue(encoder.encode(last));
          controller.close();
          return;
        }
        controller.enqueue(encoder.encode(text));
        // Not `controller.error`: the adapter would print it, and try to tell the client.
        stall = setTimeout(() => {
          options.onStall();
          void stop();
        }, options.stallMs);
        stall.unref();
      },
      cancel: stop,
    },
    { highWaterMark: 0 },
  );
}
