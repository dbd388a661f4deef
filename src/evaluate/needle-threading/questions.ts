/**
 * The wording of the questions. The paper publishes that of the single needle; the others are ours, and fixed: a
 * wording tuned for one model would make models incomparable.
 */
import type { NeedleWording } from "./haystack.ts";
import type { NeedleSettings } from "./needle-item.ts";

const bareList = "Answer with the bare values only, as a JSON list";

/** What is asked behind a haystack. It ends without a space, since small tokenizers put it at the answer's begin. */
export function askQuestion(
  settings: NeedleSettings,
  keys: readonly string[],
  wording: NeedleWording = "json",
): string {
  return wording === "json" ? askInJson(settings, keys) : askInTable(settings, keys);
}

/** A line of the table to be completed; what else has to be said stands before it. */
function askInTable(settings: NeedleSettings, keys: readonly string[]): string {
  const answer = `Q: ${keys.join(", ")}\nA:`;
  switch (settings.task) {
    case "single":
    case "multiple":
      return answer;
    case "conditional":
      return `Which values have a key with ${settings.marker ?? "*"} in it?\nA:`;
    case "threading":
    case "multi-threading":
      return `A value may be a key. Follow each to its last value.\n${answer}`;
    case "branched-threading":
      return `A value may be a key, also of several lines. Follow the longest chain to its last value.\n${answer}`;
  }
}

function askInJson(settings: NeedleSettings, keys: readonly string[]): string {
  const key = `Key: "${keys[0]}"`;
  const list = `Keys: ${JSON.stringify(keys)}`;
  const follow =
    "A value of the JSON object above may itself be a key of the object. Look up the value of the given key; " +
    "as long as the value found is a key of the object, look that key up in turn.";
  switch (settings.task) {
    case "single":
      return `Extract the value corresponding to the specified key in the JSON object above.\n${key}\nCorresponding value:`;
    case "multiple":
      return `Extract the values corresponding to the specified keys in the JSON object above. ${bareList}, in the order of the keys.\n${list}\nCorresponding values:`;
    case "conditional":
      return `Extract the values of all keys that contain the character "${settings.marker ?? "*"}" in the JSON object above. ${bareList}.\nCorresponding values:`;
    case "threading":
      return `${follow} Answer with the last value only, which is no key of the object.\n${key}\nLast value:`;
    case "multi-threading":
      return `${follow} Do so for each of the keys below. ${bareList}, with the last value for each key, in the order of the keys.\n${list}\nLast values:`;
    case "branched-threading":
      return `${follow} A key may occur several times in the object, with different values: follow each of them. Answer with the last value of the longest chain only.\n${key}\nLast value:`;
  }
}
