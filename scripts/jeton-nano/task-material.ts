/** What the generated tasks of jeton-nano are made of: for the training data and for the evaluation alike. */

export interface TaskMaterial {
  /** Words of four to nine letters that are neither rare nor everywhere. */
  readonly words: readonly string[];
  /** Sentences of 30 to 160 characters. */
  readonly filler: readonly string[];
}

export function taskMaterial(prose: readonly string[]): TaskMaterial {
  const counts = new Map<string, number>();
  for (const document of prose) {
    for (const [word] of document.matchAll(/\b[a-z]{4,9}\b/g))
      counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const words = [...counts]
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(100, 3100)
    .map(([word]) => word);
  const filler = prose
    .flatMap((document) => document.split(/(?<=[a-z]\.) (?=[A-Z])/))
    .filter(
      (sentence) => sentence.length > 30 && sentence.length < 160 && !sentence.includes("\n"),
    );
  return { words, filler };
}
