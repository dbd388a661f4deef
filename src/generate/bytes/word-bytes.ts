/**
 * The byte distribution of a model of words: the next byte may go on with the open word or begin the next
 * one, and the word's end itself is no byte.
 */
import { JetonError } from "../../core/index.ts";
import {
  decodeKinds,
  documentId,
  type LoadedModel,
  type OpenSequence,
  placeWords,
  splitWords,
  type WordModelConfig,
  wordEndId,
  wordFamilies,
  wordModelConfig,
} from "../../model/index.ts";
import {
  type ByteDistribution,
  type BytePrefillOptions,
  byteOutcomes,
  endOutcome,
} from "./byte-distribution.ts";
import { OneCall } from "./one-call.ts";
import { isCharacterBeginning, isWholeText, wholeCharacters } from "./utf8-places.ts";

/** Whether a model reads words of bytes. */
export function readsWords({ config }: LoadedModel): boolean {
  return (wordFamilies as readonly string[]).includes(config.family);
}

/**
 * Opens the byte distribution of a model of words. It takes one of the model's sequences until it is closed.
 *
 * A text has the words that the model's rule finds, so a byte's probability is that of the byte within the
 * open word where the rule goes on with the word, and else that of the word's end times that of the byte
 * behind it. What the model gives to other ways to cut the text is shared out, and so is what it gives to
 * bytes that no UTF-8 text has. Only a whole character says where a word ends: until it is complete both ways
 * are followed.
 *
 * @throws JetonError `byte-model-unsupported` where the model does not read words of bytes
 */
export async function openWordBytes(model: LoadedModel): Promise<ByteDistribution> {
  if (!readsWords(model)) {
    const { family } = model.config;
    throw new JetonError(
      `${model.name} is a ${family} model, expected one that reads words of bytes`,
      { code: "byte-model-unsupported", details: { family, expected: wordFamilies } },
    );
  }
  return new WordBytes(model, wordModelConfig(model.checkpoint.config));
}

/** One way to cut the character that is being read, which the rule may still turn out to choose. */
interface Cut {
  /** Tokens behind those that are certain. */
  readonly ids: readonly number[];
  /** Places in the open character at which it begins a word. */
  readonly begins: readonly number[];
  /** ln P of `ids`. */
  readonly logProbability: number;
  /** Bytes of the word that is open behind it. */
  readonly open: number;
  /** Logarithms of the probabilities of every id: within the open word, and behind its end. */
  within: Float64Array;
  behind: Float64Array;
}

/** A cut and one more byte. */
interface Extended extends Omit<Cut, "within" | "behind"> {
  readonly place: "within" | "behind";
}

class WordBytes implements ByteDistribution {
  readonly name: string;
  readonly #calls: OneCall;
  readonly #model: LoadedModel;
  readonly #config: WordModelConfig;
  readonly #text: number[] = [];
  #sequence: OpenSequence | undefined;
  /** Bytes of the text that are whole characters. */
  #whole = 0;
  #cuts: readonly Cut[] = [];
  /** Where words begin in the next character, by what the rule knows of it. */
  readonly #begins = new Map<string, readonly number[]>();

  constructor(model: LoadedModel, config: WordModelConfig) {
    this.name = model.name;
    this.#calls = new OneCall(model.name);
    this.#model = model;
    this.#config = config;
  }

  get length(): number {
    return this.#text.length;
  }

  get remaining(): number {
    // Each byte may be a word of its own, and looking behind a word's end takes a token more.
    const pending = this.#cuts.reduce((most, { ids }) => Math.max(most, ids.length), 0);
    const used = (this.#sequence?.length ?? 1) + pending;
    return Math.max(0, Math.floor((this.#model.contextLength - used - 1) / 2));
  }

  prefill(bytes: Uint8Array, options: BytePrefillOptions = {}): Promise<void> {
    return this.#calls.run(() => this.#prefill(bytes, options));
  }

  logProbabilities(options: { readonly signal?: AbortSignal } = {}): Promise<Float64Array> {
    return this.#calls.run(() => this.#logProbabilities(options));
  }

  advance(byte: number): Promise<void> {
    return this.#calls.run(() => this.#advance(byte));
  }

  async #prefill(bytes: Uint8Array, options: BytePrefillOptions = {}): Promise<void> {
    const { signal, before } = options;
    if (before !== undefined && before.length > 0) {
      throw new JetonError(`${this.name} reads bytes, expected no tokens before the text`, {
        code: "byte-tokens-unsupported",
        details: { found: before.length, expected: 0 },
      });
    }
    const whole = wholeCharacters(bytes);
    if (!isWholeText(bytes.subarray(0, whole))) throw impossible(bytes[0] ?? 0, 0);
    await this.#sequence?.release();
    this.#sequence = await this.#model.openSequence(signal ? { signal } : {});
    const { rule, maxWordBytes } = this.#config;
    const ids: number[] = [documentId];
    const words = placeWords(Int32Array.from(bytes.subarray(0, whole)), {
      rule,
      maxBytes: maxWordBytes,
    });
    for (const [index, { start, end }] of words.entries()) {
      ids.push(...bytes.subarray(start, end));
      if (index < words.length - 1) ids.push(wordEndId);
    }
    this.#text.length = 0;
    for (const byte of bytes.subarray(0, whole)) this.#text.push(byte);
    const last = words.at(-1);
    await this.#settle(ids, last === undefined ? 0 : last.end - last.start, signal);
    for (const byte of bytes.subarray(whole)) await this.#advance(byte);
  }

  async #logProbabilities(options: { readonly signal?: AbortSignal }): Promise<Float64Array> {
    if (this.#sequence === undefined) await this.#prefill(new Uint8Array(0), options);
    const logs = new Float64Array(byteOutcomes).fill(Number.NEGATIVE_INFINITY);
    for (let byte = 0; byte < endOutcome; byte++) {
      for (const { logProbability } of this.#extend(byte)) {
        logs[byte] = addLogs(logs[byte]!, logProbability);
      }
    }
    logs[endOutcome] = this.#logOfEnd();
    const total = logs.reduce(addLogs, Number.NEGATIVE_INFINITY);
    return logs.map((log) => log - total);
  }

  async #advance(byte: number): Promise<void> {
    if (this.#sequence === undefined) await this.#prefill(new Uint8Array(0));
    const cuts = Number.isInteger(byte) && byte >= 0 && byte <= 255 ? this.#extend(byte) : [];
    if (cuts.length === 0) throw impossible(byte, this.length);
    this.#text.push(byte);
    if (this.#isDecided(this.#text.slice(this.#whole))) {
      // Of the ways to cut a whole character the rule has left one.
      await this.#settle(cuts[0]!.ids, cuts[0]!.open, undefined);
    } else this.#cuts = await this.#look(cuts);
  }

  async close(): Promise<void> {
    this.#calls.close();
    await this.#sequence?.release();
    this.#sequence = undefined;
    this.#cuts = [];
  }

  /** Reads tokens that are certain, and looks behind the end of the word that is then open. */
  async #settle(ids: readonly number[], open: number, signal: AbortSignal | undefined) {
    const sequence = this.#sequence!;
    const request = { ids: [...ids, wordEndId], results: "all", logits: true } as const;
    const { logits } = await sequence.step(request, signal ? { signal } : {});
    await sequence.truncate(sequence.length - 1);
    const row = (at: number) => rowOf(logits!, at);
    this.#whole = this.#text.length;
    this.#begins.clear();
    const certain = { ids: [], begins: [], logProbability: 0, open };
    this.#cuts = [{ ...certain, within: row(ids.length - 1), behind: row(ids.length) }];
  }

  /** Predictions behind several ways to cut an open character, by one step that leaves no trace. */
  async #look(cuts: readonly Extended[]): Promise<Cut[]> {
    const ids: number[] = [];
    const parents: number[] = [];
    const ends = cuts.map((cut) => {
      for (const [at, id] of [...cut.ids, wordEndId].entries()) {
        parents.push(at === 0 ? -1 : ids.length - 1);
        ids.push(id);
      }
      return ids.length - 1;
    });
    const request = { ids, parents, results: "all", logits: true, commit: false } as const;
    const { logits } = await this.#sequence!.step(request);
    return cuts.map((cut, index) => {
      const end = ends[index]!;
      return { ...cut, within: rowOf(logits!, end - 1), behind: rowOf(logits!, end) };
    });
  }

  /** The ways to read one more byte; none where no text goes on with it. */
  #extend(byte: number): Extended[] {
    const pending = [...this.#text.slice(this.#whole), byte];
    if (!isCharacterBeginning(pending)) return [];
    const isDecided = this.#isDecided(pending);
    const wanted = isDecided ? this.#beginsOf(pending) : undefined;
    const found: Extended[] = [];
    const { maxWordBytes } = this.#config;
    for (const cut of this.#cuts) {
      const isFirst = pending.length === 1;
      const add = (place: "within" | "behind"): void => {
        const isBehind = place === "behind";
        const begins = isBehind ? [...cut.begins, pending.length - 1] : cut.begins;
        if (wanted !== undefined && String(wanted) !== String(begins)) return;
        const own = cut[place][byte]! + (isBehind ? cut.within[wordEndId]! : 0);
        found.push({
          ids: isBehind ? [...cut.ids, wordEndId, byte] : [...cut.ids, byte],
          begins,
          logProbability: cut.logProbability + own,
          open: isBehind ? 1 : cut.open + 1,
          place,
        });
      };
      if (cut.open < maxWordBytes) add("within");
      // Words of several bytes are cut between characters, unless a rule counts bytes.
      if (cut.open > 0 && (isFirst || this.#cutsCharacters)) add("behind");
    }
    return found;
  }

  get #cutsCharacters(): boolean {
    return typeof this.#config.rule === "object" || this.#config.maxWordBytes < 4;
  }

  /** Whether the rule says of these bytes, a character or its beginning, where they begin words. */
  #isDecided(pending: readonly number[]): boolean {
    return wholeCharacters(Uint8Array.from(pending)) === pending.length;
  }

  /** Places in a whole character at which the rule begins words; that of a text's first word does not count. */
  #beginsOf(pending: readonly number[]): readonly number[] {
    // A rule knows of a character its kind, its length, and whether it is the space.
    const [kind] = decodeKinds(Uint8Array.from(pending)).kinds;
    const key = `${kind} ${pending.length} ${pending[0] === 0x20}`;
    let begins = this.#begins.get(key);
    if (begins === undefined) {
      const { rule, maxWordBytes } = this.#config;
      const bytes = Uint8Array.of(...this.#text.slice(0, this.#whole), ...pending);
      const starts = [...splitWords(bytes, { rule, maxBytes: maxWordBytes })].slice(0, -1);
      begins = starts.map((at) => at - this.#whole).filter((at) => at >= 0);
      this.#begins.set(key, begins);
    }
    return begins;
  }

  /** ln P of the document's end: behind the end of the last word, or at once in an empty text. */
  #logOfEnd(): number {
    const [cut] = this.#cuts;
    if (cut === undefined || this.#text.length > this.#whole) return Number.NEGATIVE_INFINITY;
    if (cut.open === 0) return cut.within[documentId]!;
    return cut.within[wordEndId]! + cut.behind[documentId]!;
  }
}

function impossible(byte: number, length: number): JetonError {
  return new JetonError(`the byte ${byte} cannot follow: no text holds it at this place`, {
    code: "byte-impossible",
    details: { byte, length },
  });
}

function addLogs(a: number, b: number): number {
  const larger = Math.max(a, b);
  if (larger === Number.NEGATIVE_INFINITY) return larger;
  return larger + Math.log1p(Math.exp(Math.min(a, b) - larger));
}

/** Logarithms of the probabilities in one row of logits. */
function rowOf(all: Float32Array, row: number): Float64Array {
  const width = 256;
  const logits = all.subarray(row * width, (row + 1) * width);
  const largest = logits.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - largest);
  const total = largest + Math.log(sum);
  return Float64Array.from(logits, (value) => value - total);
}
