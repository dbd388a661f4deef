/** Filters that escape for HTML or make it. */
import { bindArguments } from "../python/arguments.ts";
import { isTrue } from "../python/compare.ts";
import { Dict } from "../python/containers/dict.ts";
import { toList } from "../python/containers/sequence.ts";
import { failure, valueFailure } from "../python/failure.ts";
import { toText } from "../python/representation.ts";
import { escapeMarkup, escapeText } from "../python/strings/markup.ts";
import { stripTags } from "../python/strings/markup-methods.ts";
import { requireInteger, requireText } from "../python/strings/string-search.ts";
import { splitWords } from "../python/strings/text.ts";
import { Markup, Undefined, type Value } from "../python/values.ts";
import type { Filter, FilterTable } from "./filter.ts";
import { linkUrls } from "./link-urls.ts";

const escapeValue: Filter = (value, callArguments) => {
  bindArguments("escape", callArguments, []);
  return value instanceof Markup ? value : new Markup(escapeMarkup(value));
};

const xmlAttributes: Filter = (value, callArguments, runtime) => {
  const [autospace = true] = bindArguments("xmlattr", callArguments, ["autospace?"]);
  if (!(value instanceof Dict)) {
    throw failure("AttributeError", "the value has no attribute 'items'");
  }
  const attributes: string[] = [];
  for (const [key, item] of value.entries()) {
    if (item === null || item instanceof Undefined) continue;
    const name = toText(key);
    if (/[\s/>=]/.test(name)) throw valueFailure(`Invalid character in attribute name: '${name}'`);
    attributes.push(`${escapeMarkup(key)}="${escapeMarkup(item)}"`);
  }
  const text = attributes.join(" ");
  const spaced = isTrue(autospace) && text !== "" ? ` ${text}` : text;
  return runtime.autoescape ? new Markup(spaced) : spaced;
};

/** An optional text argument; None counts as left out. */
function optionalText(value: Value | undefined): string | undefined {
  return value === undefined || value === null ? undefined : requireText(value, "urlize");
}

const urlize: Filter = (value, callArguments, runtime) => {
  const [limit, nofollow = false, target, rel, schemes = null] = bindArguments(
    "urlize",
    callArguments,
    ["trim_url_limit?", "nofollow?", "target?", "rel?", "extra_schemes?"],
  );
  const relations = new Set([...splitWords(optionalText(rel) ?? ""), "noopener"]);
  if (isTrue(nofollow)) relations.add("nofollow");
  const linked = linkUrls(value, {
    limit: limit === undefined || limit === null ? undefined : requireInteger(limit),
    rel: Array.from(relations).sort().join(" "),
    target: optionalText(target),
    schemes: schemes === null ? [] : toList(schemes).map(toText),
  });
  return runtime.autoescape ? new Markup(linked) : linked;
};

export const markupFilters: FilterTable = {
  escape: escapeValue,
  e: escapeValue,
  urlize,
  xmlattr: xmlAttributes,
  forceescape(value, callArguments) {
    bindArguments("forceescape", callArguments, []);
    return new Markup(escapeText(toText(value)));
  },
  safe(value, callArguments) {
    bindArguments("safe", callArguments, []);
    return new Markup(toText(value));
  },
  striptags(value, callArguments) {
    bindArguments("striptags", callArguments, []);
    return stripTags(toText(value));
  },
};
