/** Functions that every template may call. */
import { bindArguments, bindPositional } from "./python/arguments.ts";
import { isTrue } from "./python/compare.ts";
import { makeDict } from "./python/containers/container-methods.ts";
import { Namespace } from "./python/containers/dict.ts";
import { failure, TemplateFailure, typeFailure, valueFailure } from "./python/failure.ts";
import { toText } from "./python/representation.ts";
import { formatDate } from "./python/strings/strftime.ts";
import { requireInteger, requireText } from "./python/strings/string-search.ts";
import {
  type CallArguments,
  Callable,
  Invocable,
  Markup,
  PyObject,
  Range,
  Tuple,
  type Value,
} from "./python/values.ts";

/** Longest range that a template may go through. */
const maxRange = 100_000;

function makeRange(callArguments: CallArguments): Value {
  const bounds = bindPositional("range", callArguments, 1, 3).map(requireInteger);
  const [start, stop, step] =
    bounds.length === 1 ? [0, bounds[0]!, 1] : [bounds[0]!, bounds[1]!, bounds[2] ?? 1];
  if (step === 0) throw valueFailure("range() arg 3 must not be zero");
  const range = new Range(start, stop, step);
  if (range.length > maxRange) {
    throw failure(
      "OverflowError",
      `Range too big. The sandbox blocks ranges larger than MAX_RANGE (${maxRange}).`,
    );
  }
  return range;
}

/** jinja2's `cycler`: goes through its items again and again. */
class Cycler extends PyObject {
  readonly typeName: string = "Cycler";
  readonly #items: readonly Value[];
  #position = 0;

  constructor(items: readonly Value[]) {
    super();
    this.#items = items;
  }

  override attribute(name: string): Value | undefined {
    switch (name) {
      case "current":
        return this.#items[this.#position]!;
      case "items":
        return new Tuple(this.#items);
      case "pos":
        return this.#position;
      case "next":
        return new Callable("next", () => {
          const item = this.#items[this.#position]!;
          this.#position = (this.#position + 1) % this.#items.length;
          return item;
        });
      case "reset":
        return new Callable("reset", () => {
          this.#position = 0;
          return null;
        });
      default:
        return undefined;
    }
  }
}

/** jinja2's `joiner`: nothing at the first call, then its separator. */
class Joiner extends Invocable {
  readonly typeName: string = "Joiner";
  readonly #separator: Value;
  #used = false;

  constructor(separator: Value) {
    super();
    this.#separator = separator;
  }

  override attribute(name: string): Value | undefined {
    if (name === "sep") return this.#separator;
    return name === "used" ? this.#used : undefined;
  }

  override invoke(callArguments: CallArguments): Value {
    bindPositional("joiner", callArguments, 0, 0);
    const text = this.#used ? this.#separator : "";
    this.#used = true;
    return text;
  }
}

const words: readonly string[] =
  "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore magna aliqua".split(
    " ",
  );

/** Paragraphs of a text without meaning. */
function makeFiller(callArguments: CallArguments): Value {
  const [n = 5, html = true, min = 20, max = 100] = bindArguments("lipsum", callArguments, [
    "n?",
    "html?",
    "min?",
    "max?",
  ]);
  const [least, most] = [requireInteger(min), requireInteger(max)];
  if (least >= most) throw valueFailure("empty range for randrange()");
  const paragraphs = Array.from({ length: Math.min(1000, requireInteger(n)) }, () => {
    const length = Math.min(10_000, least + Math.floor(Math.random() * (most - least)));
    const chosen = Array.from(
      { length },
      () => words[Math.floor(Math.random() * words.length)]!,
    ).join(" ");
    return `${chosen.slice(0, 1).toUpperCase()}${chosen.slice(1)}.`;
  });
  if (!isTrue(html)) return paragraphs.join("\n\n");
  return new Markup(paragraphs.map((paragraph) => `<p>${paragraph}</p>`).join("\n"));
}

/** Names of all templates: Python's and jinja2's own, and the two that transformers adds. */
export function makeGlobals(now: Date): Map<string, Value> {
  const type = (name: string, make: (callArguments: CallArguments) => Value): Callable =>
    new Callable(name, make, "type");
  const named = (name: string, make: (callArguments: CallArguments) => Value): [string, Value] => [
    name,
    new Callable(name, make, "function"),
  ];
  return new Map<string, Value>([
    named("range", makeRange),
    ["dict", type("dict", makeDict)],
    ["namespace", type("jinja2.utils.Namespace", (given) => new Namespace(makeDict(given)))],
    [
      "cycler",
      type("jinja2.utils.Cycler", ({ positional, keyword }) => {
        if (keyword.size > 0) throw typeFailure("cycler() takes no keyword arguments");
        if (positional.length === 0) {
          throw failure("RuntimeError", "at least one item has to be provided");
        }
        return new Cycler(positional);
      }),
    ],
    [
      "joiner",
      type("jinja2.utils.Joiner", (given) => {
        return new Joiner(bindArguments("joiner", given, ["sep?"])[0] ?? ", ");
      }),
    ],
    named("lipsum", makeFiller),
    named("raise_exception", (given) => {
      const [message] = bindArguments("raise_exception", given, ["message"]);
      throw new TemplateFailure("raised", "TemplateError", toText(message!));
    }),
    named("strftime_now", (given) => {
      const [format] = bindArguments("strftime_now", given, ["format"]);
      return formatDate(now, requireText(format!, "strftime"));
    }),
  ]);
}
