/** Slots for open sequences: who finds none free waits in order. */
export class SlotQueue {
  readonly #slots: number;
  /** Callers that wait for a free slot, in order. */
  readonly #queue: (() => void)[] = [];
  #taken = 0;

  constructor(slots: number) {
    this.#slots = slots;
  }

  /** Slots in use. */
  get taken(): number {
    return this.#taken;
  }

  /** Resolves when the caller has a slot. Rejects with the signal's reason. */
  take(signal: AbortSignal | undefined): Promise<void> {
    if (this.#taken < this.#slots) {
      this.#taken++;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal?.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        const at = this.#queue.indexOf(enter);
        if (at >= 0) this.#queue.splice(at, 1);
        reject(signal!.reason);
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#queue.push(enter);
    });
  }

  /** The slot goes to the next in the queue, if there is one. */
  give(): void {
    const next = this.#queue.shift();
    if (next) next();
    else this.#taken--;
  }
}
