/** Queries with the passages that answer them, made from passages alone. */
import { createRandom, type Random } from "../../src/core/index.ts";

/** A piece of text, with the name and the code of what it describes where it describes code. */
export interface Passage {
  /** Passages of a group are near each other: hard negatives. */
  readonly group: string;
  readonly text: string;
  readonly name?: string;
  readonly code?: string;
}

/** A line of the training data. */
export interface Pair {
  readonly query: string;
  readonly document: string;
  readonly negatives?: readonly string[];
}

/** Passages of one group that give pairs at most. */
const maxOfGroup = 60;
const wordPattern = /[A-Za-z][A-Za-z-]{2,}/g;

/**
 * Pairs of four kinds: a first sentence and what follows it; a sentence and the passage without it (inverse cloze);
 * the name of something and its description; a few rare words and the passage that holds them. Code is a document of
 * its description's first sentence.
 */
export function makePairs(passages: readonly Passage[], seed: number): Pair[] {
  const groups = new Map<string, Passage[]>();
  for (const passage of dropRepeated(passages)) {
    const known = groups.get(passage.group);
    if (known === undefined) groups.set(passage.group, [passage]);
    else if (known.length < maxOfGroup) known.push(passage);
  }
  const all = [...groups.values()];
  const rarity = countWords(all.flat());
  return all.flatMap((group) =>
    group.flatMap((passage, at) => {
      const random = createRandom(seed, "passage", passage.group, at);
      const other = group[random.integer(group.length)]!;
      const negative = other === passage ? [] : [other];
      return pairsOf(passage, random, rarity).map(({ query, document, isCode }) => {
        const negatives = negative.map((one) => (isCode ? (one.code ?? one.text) : one.text));
        return { query, document, ...(negatives[0] && negatives[0] !== document && { negatives }) };
      });
    }),
  );
}

function dropRepeated(passages: readonly Passage[]): Passage[] {
  const seen = new Set<string>();
  return passages.filter(({ text }) => {
    const key = text.slice(0, 200);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** In how many passages each word is. */
function countWords(passages: readonly Passage[]): (word: string) => number {
  const counts = new Map<string, number>();
  for (const { text } of passages) {
    for (const word of new Set(text.toLowerCase().match(wordPattern) ?? [])) {
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
  }
  return (word) => Math.log(passages.length / (counts.get(word.toLowerCase()) ?? 1));
}

interface RawPair {
  readonly query: string;
  readonly document: string;
  readonly isCode?: boolean;
}

function pairsOf(
  { text, name, code }: Passage,
  random: Random,
  rarity: (word: string) => number,
): RawPair[] {
  const pairs: RawPair[] = [];
  const sentences = text.split(/(?<=[.!?])\s+(?=[A-Z"“])|\n/).filter((one) => one.length > 15);
  const [first] = sentences;
  const rest = sentences.slice(1).join(" ");
  if (first !== undefined && first.length < 200 && rest.length > 60) {
    pairs.push({ query: first, document: rest });
  }
  if (sentences.length > 2) {
    const chosen = 1 + random.integer(sentences.length - 1);
    const query = sentences[chosen]!;
    if (query.length < 240) {
      // Now and then the passage keeps the sentence, as real answers often do.
      const keeps = random.uniform() < 0.15;
      const document = keeps ? text : sentences.filter((_, at) => at !== chosen).join(" ");
      pairs.push({ query, document });
    }
  }
  if (name?.includes(" ")) pairs.push({ query: name, document: text });
  if (code !== undefined && first !== undefined && code.length > 80 && random.uniform() < 0.4) {
    pairs.push({ query: first.slice(0, 200), document: code, isCode: true });
  }
  const words = rareWords(text, random, rarity);
  if (words.length > 1) pairs.push({ query: words.join(" "), document: text });
  return pairs;
}

/** A few of a passage's words, rare ones more often, as people type them. */
function rareWords(text: string, random: Random, rarity: (word: string) => number): string[] {
  const words = [...new Set((text.match(wordPattern) ?? []).map((word) => word.toLowerCase()))];
  const ranked = words
    .map((word) => ({ word, key: random.uniform() ** (1 / Math.max(0.1, rarity(word)) ** 2) }))
    .sort((a, b) => b.key - a.key);
  return ranked.slice(0, 2 + random.integer(4)).map(({ word }) => word);
}
