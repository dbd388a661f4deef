/**
 * The two directions between token strings and ids of a model's vocabulary.
 */

import type { JsonObject } from "../formats/json-reader.ts";
import { asInteger, asObject, asString, invalidField, readField } from "../formats/json-reader.ts";

/** Largest id that a file may use: far above any published vocabulary, far below exhausted memory. */
export const maxId = 4_194_303;

/** Tokens by id (with holes) and ids by token. */
export interface Vocabulary {
  readonly tokens: readonly (string | undefined)[];
  readonly ids: ReadonlyMap<string, number>;
}

/** Builds a vocabulary of (token, id) pairs; errors on an id that is not an integer or is used twice. */
export function createVocabulary(
  entries: Iterable<readonly [string, unknown]>,
  path: string,
): Vocabulary {
  const ids = new Map<string, number>();
  let size = 0;
  for (const [token, value] of entries) {
    const id =
      typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= maxId
        ? value
        : asInteger(value, `${path}[${JSON.stringify(token)}]`, 0, maxId);
    ids.set(token, id);
    if (id >= size) size = id + 1;
  }
  const tokens = new Array<string | undefined>(size).fill(undefined);
  for (const [token, id] of ids) {
    if (tokens[id] !== undefined) {
      throw invalidField(
        `${path}[${JSON.stringify(token)}]`,
        id,
        `an id that ${JSON.stringify(tokens[id])} does not have`,
      );
    }
    tokens[id] = token;
  }
  return { tokens, ids };
}

/** Reads the `vocab` object (token → id) of a model. */
export function readVocabulary(model: JsonObject, path: string): Vocabulary {
  const table = asObject(readField(model, "vocab"), `${path}.vocab`);
  return createVocabulary(entriesOf(table), `${path}.vocab`);
}

function* entriesOf(table: JsonObject): Iterable<readonly [string, unknown]> {
  for (const token in table) if (Object.hasOwn(table, token)) yield [token, table[token]];
}

/** The id of the token that a model's field names, or undefined when the field is absent or null. */
export function readTokenField(model: JsonObject, key: string, path: string): string | undefined {
  const value = readField(model, key);
  return value === undefined || value === null ? undefined : asString(value, `${path}.${key}`);
}
