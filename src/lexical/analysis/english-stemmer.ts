/**
 * Porter's stemmer: M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with the two
 * later changes of its author (`logi` becomes `log`, `bli` becomes `ble`).
 */

const isStemmable: RegExp = /^[a-z]{3,}$/;

/** Whether the letter at a place is a consonant: `y` is one at the start and after a vowel. */
function isConsonant(word: string, at: number): boolean {
  const letter = word[at]!;
  if ("aeiou".includes(letter)) return false;
  return letter !== "y" || at === 0 || !isConsonant(word, at - 1);
}

/** The number m of vowel-consonant sequences in a stem [C](VC)^m[V]. */
function measure(stem: string): number {
  let count = 0;
  for (let at = 1; at < stem.length; at++) {
    if (isConsonant(stem, at) && !isConsonant(stem, at - 1)) count++;
  }
  return count;
}

function hasVowel(stem: string): boolean {
  for (let at = 0; at < stem.length; at++) if (!isConsonant(stem, at)) return true;
  return false;
}

function endsInDouble(word: string): boolean {
  const { length } = word;
  return length > 1 && word[length - 1] === word[length - 2] && isConsonant(word, length - 1);
}

/** Consonant, vowel, consonant at the end, the last none of w, x, y. */
function endsShort(word: string): boolean {
  const { length } = word;
  if (length < 3 || "wxy".includes(word[length - 1]!)) return false;
  return (
    isConsonant(word, length - 1) && !isConsonant(word, length - 2) && isConsonant(word, length - 3)
  );
}

/** Suffixes and what they become where the stem's measure is above zero, longest first. */
const secondStep = makeRules(
  "ational:ate tional:tion enci:ence anci:ance izer:ize bli:ble alli:al entli:ent eli:e ousli:ous " +
    "ization:ize ation:ate ator:ate alism:al iveness:ive fulness:ful ousness:ous aliti:al iviti:ive " +
    "biliti:ble logi:log",
);
const thirdStep = makeRules("icate:ic ative: alize:al iciti:ic ical:ic ful: ness:");
const fourthStep = makeRules(
  "al: ance: ence: er: ic: able: ible: ant: ement: ment: ent: ion: ou: ism: ate: iti: ous: ive: ize:",
);

function makeRules(text: string): readonly (readonly [string, string])[] {
  const rules = text.split(" ").map((rule) => rule.split(":") as [string, string]);
  return rules.sort(([a], [b]) => b.length - a.length);
}

function applyRules(
  word: string,
  rules: readonly (readonly [string, string])[],
  accepts: (stem: string, suffix: string) => boolean,
): string {
  for (const [suffix, replacement] of rules) {
    if (!word.endsWith(suffix)) continue;
    const stem = word.slice(0, -suffix.length);
    return accepts(stem, suffix) ? stem + replacement : word;
  }
  return word;
}

function removePlural(word: string): string {
  if (word.endsWith("sses") || word.endsWith("ies")) return word.slice(0, -2);
  return word.endsWith("s") && !word.endsWith("ss") ? word.slice(0, -1) : word;
}

function removePast(word: string): string {
  if (word.endsWith("eed")) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word;
  const suffix = word.endsWith("ed") ? "ed" : word.endsWith("ing") ? "ing" : undefined;
  if (suffix === undefined) return word;
  const stem = word.slice(0, -suffix.length);
  if (!hasVowel(stem)) return word;
  if (/(?:at|bl|iz)$/.test(stem)) return `${stem}e`;
  if (endsInDouble(stem) && !/[lsz]$/.test(stem)) return stem.slice(0, -1);
  return measure(stem) === 1 && endsShort(stem) ? `${stem}e` : stem;
}

function removeFinal(word: string): string {
  if (word.endsWith("e")) {
    const stem = word.slice(0, -1);
    const count = measure(stem);
    if (count > 1 || (count === 1 && !endsShort(stem))) word = stem;
  }
  return word.endsWith("ll") && measure(word) > 1 ? word.slice(0, -1) : word;
}

/**
 * The stem of an English word in lower case; words with other characters, or of one or two letters, stay
 * as they are. `"relational"` gives `"relat"`.
 */
export function stemEnglish(word: string): string {
  if (!isStemmable.test(word)) return word;
  let stem = removePast(removePlural(word));
  if (stem.endsWith("y") && hasVowel(stem.slice(0, -1))) stem = `${stem.slice(0, -1)}i`;
  stem = applyRules(stem, secondStep, (rest) => measure(rest) > 0);
  stem = applyRules(stem, thirdStep, (rest) => measure(rest) > 0);
  stem = applyRules(
    stem,
    fourthStep,
    (rest, suffix) => measure(rest) > 1 && (suffix !== "ion" || /[st]$/.test(rest)),
  );
  return removeFinal(stem);
}
