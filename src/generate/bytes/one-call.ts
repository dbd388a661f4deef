/** Keeps the calls of a byte distribution apart: it holds one text, which each of them changes. */
import { JetonError } from "../../core/index.ts";

/** Lets one call at a time through, and none after the end. */
export class OneCall {
  readonly #name: string;
  #isBusy = false;
  #isClosed = false;

  /** @param name of the distribution, for messages */
  constructor(name: string) {
    this.#name = name;
  }

  /**
   * Makes a call.
   *
   * @throws JetonError `byte-distribution-busy` while another one is under way, `byte-distribution-closed`
   */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw this.#refuse("closed", "an open byte distribution");
    if (this.#isBusy) throw this.#refuse("busy", "calls that follow one another");
    this.#isBusy = true;
    try {
      return await call();
    } finally {
      this.#isBusy = false;
    }
  }

  /** Lets no further call through. */
  close(): void {
    this.#isClosed = true;
  }

  #refuse(state: "closed" | "busy", expected: string): JetonError {
    return new JetonError(
      `the byte distribution of ${this.#name} is ${state}: expected ${expected}`,
      {
        code: state === "busy" ? "byte-distribution-busy" : "byte-distribution-closed",
        details: { name: this.#name, expected },
      },
    );
  }
}
