/**
 * The drafters of one server: the default one, and others when a request first asks for one. All
 * requests share them, so that each uses what earlier ones taught.
 */
import { JetonError } from "../core/index.ts";
import type { Drafter } from "../generate/speculative/drafter.ts";
import {
  type DrafterChoice,
  type DrafterName,
  drafterChoices,
} from "../generate/speculative/drafter-names.ts";
import type { OpenDrafterOptions } from "../generate/speculative/open-drafter.ts";
import type { LoadedModel } from "../model/types.ts";
import { ApiError } from "./middleware/errors.ts";

export interface DrafterPoolOptions extends Pick<OpenDrafterOptions, "draftModel"> {
  /** For requests that ask for none. */
  readonly defaultDrafter: DrafterChoice;
}

export class DrafterPool {
  readonly #model: LoadedModel;
  readonly #options: DrafterPoolOptions;
  readonly #opened: Map<DrafterName, Promise<Drafter>> = new Map();

  constructor(model: LoadedModel, options: DrafterPoolOptions) {
    this.#model = model;
    this.#options = options;
  }

  /** Opens the drafter of requests that ask for none. @throws JetonError those of `openDrafter` */
  async openDefault(): Promise<void> {
    const { defaultDrafter } = this.#options;
    if (defaultDrafter !== "none") await this.#open(defaultDrafter);
  }

  /**
   * The drafter that a request asks for; undefined for autoregressive decoding.
   *
   * @throws ApiError 400 where this server cannot have it
   */
  async find(name: DrafterChoice | null | undefined): Promise<Drafter | undefined> {
    const choice = name ?? this.#options.defaultDrafter;
    if (choice === "none") return undefined;
    try {
      return await this.#open(choice);
    } catch (error) {
      if (!(JetonError.isInstance(error) && error.code === "draft-model-missing")) throw error;
      throw new ApiError(`The drafter '${choice}' needs a draft model, and this server has none.`, {
        status: 400,
        code: "drafter_unavailable",
        param: "drafter",
      });
    }
  }

  /** The drafters that this server can have, `none` among them: without a draft model two fewer. */
  async available(): Promise<DrafterChoice[]> {
    const hasDraft = await this.find("draft-model").then(
      () => true,
      () => false,
    );
    return drafterChoices.filter(
      (name) => hasDraft || (name !== "draft-model" && name !== "dyspec"),
    );
  }

  /** Ends all drafters. */
  async close(): Promise<void> {
    for (const opened of this.#opened.values()) {
      // A drafter that could not be opened need not be closed.
      const drafter = await opened.catch(() => undefined);
      await drafter?.close();
    }
  }

  #open(name: DrafterName): Promise<Drafter> {
    let opened = this.#opened.get(name);
    if (!opened) {
      const { draftModel } = this.#options;
      opened = import("../generate/speculative/open-drafter.ts").then(({ openDrafter }) =>
        openDrafter(name, this.#model, draftModel === undefined ? {} : { draftModel }),
      );
      this.#opened.set(name, opened);
    }
    return opened;
  }
}
