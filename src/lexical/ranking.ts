/** The best of many, and the order of equals. */

/** A text's order by its UTF-8 bytes, which is that of its code points: below 0, 0 or above. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x === y) continue;
    // Surrogates stand for characters above all others, though units of U+E000 to U+FFFF are larger.
    return toOrder(x) - toOrder(y);
  }
  return a.length - b.length;
}

function toOrder(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Keeps the places of the `k` highest scores. */
export class TopSelector {
  readonly #k: number;
  readonly #isBefore: (a: number, b: number) => boolean;
  /** A heap with the worst place of those kept on top. */
  readonly #places: number[] = [];
  readonly #scores: number[] = [];

  /** @param isBefore whether place a ranks before place b where their scores are equal */
  constructor(k: number, isBefore: (a: number, b: number) => boolean = (a, b) => a < b) {
    this.#k = k;
    this.#isBefore = isBefore;
  }

  /** A score must be at least this to be kept. */
  get threshold(): number {
    return this.#places.length < this.#k ? Number.NEGATIVE_INFINITY : this.#scores[0]!;
  }

  /** Offers a place with its score. */
  offer(place: number, score: number): void {
    const { length } = this.#places;
    if (length < this.#k) {
      this.#places.push(place);
      this.#scores.push(score);
      this.#siftUp(length);
    } else if (length > 0 && this.#isWorse(this.#places[0]!, this.#scores[0]!, place, score)) {
      this.#places[0] = place;
      this.#scores[0] = score;
      this.#siftDown();
    }
  }

  /** What was kept, best first. */
  ranked(): { readonly place: number; readonly score: number }[] {
    const kept = this.#places.map((place, at) => ({ place, score: this.#scores[at]! }));
    return kept.sort((a, b) => (this.#isWorse(a.place, a.score, b.place, b.score) ? 1 : -1));
  }

  #isWorse(placeA: number, scoreA: number, placeB: number, scoreB: number): boolean {
    return scoreA < scoreB || (scoreA === scoreB && this.#isBefore(placeB, placeA));
  }

  #isWorseAt(a: number, b: number): boolean {
    return this.#isWorse(this.#places[a]!, this.#scores[a]!, this.#places[b]!, this.#scores[b]!);
  }

  #swap(a: number, b: number): void {
    const [places, scores] = [this.#places, this.#scores];
    [places[a], places[b]] = [places[b]!, places[a]!];
    [scores[a], scores[b]] = [scores[b]!, scores[a]!];
  }

  #siftUp(at: number): void {
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isWorseAt(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #siftDown(): void {
    const { length } = this.#places;
    for (let at = 0; ; ) {
      let worst = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < length && this.#isWorseAt(child, worst)) worst = child;
      }
      if (worst === at) return;
      this.#swap(at, worst);
      at = worst;
    }
  }
}
