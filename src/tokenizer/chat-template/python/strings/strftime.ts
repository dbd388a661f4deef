/** Dates as `datetime.strftime` writes them, in local time and the C locale. */

const months: readonly string[] =
  "January February March April May June July August September October November December".split(
    " ",
  );
const days: readonly string[] = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(
  " ",
);
const secondsOfDay = 86_400;

/** A directive's text: a number with its usual width and fill, or a text. */
type Field = { readonly number: number; readonly width: number; readonly fill: string } | string;

/** Writes a date; `%-d` and the other flags (`-`, `_`, `0`, `^`, `#`) and widths are those of glibc. */
export function formatDate(date: Date, format: string): string {
  return format.replace(
    /%([-_0^#]*)(\d*)[EO]?([A-Za-z%])/g,
    (whole, flags: string, width: string, letter: string) => {
      if (letter === "f" && whole !== "%f") return whole;
      const composed = compositions[letter];
      const field = composed === undefined ? fields[letter]?.(date) : formatDate(date, composed);
      return field === undefined ? whole : writeField(field, flags, width);
    },
  );
}

function writeField(field: Field, flags: string, width: string): string {
  if (typeof field === "string") {
    let text = field;
    if (flags.includes("^")) text = text.toUpperCase();
    if (flags.includes("#"))
      text = text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase();
    return text.padStart(Number(width), flags.includes("0") ? "0" : " ");
  }
  const flag = flags.replaceAll(/[\^#]/g, "").at(-1);
  if (flag === "-") return String(field.number);
  const fill = flag === "_" ? " " : flag === "0" ? "0" : field.fill;
  return String(field.number).padStart(width === "" ? field.width : Number(width), fill);
}

/** Directives that stand for others. */
const compositions: Readonly<Record<string, string>> = {
  c: "%a %b %e %H:%M:%S %Y",
  D: "%m/%d/%y",
  F: "%Y-%m-%d",
  r: "%I:%M:%S %p",
  R: "%H:%M",
  T: "%H:%M:%S",
  x: "%m/%d/%y",
  X: "%H:%M:%S",
};

function number(value: number, width = 2, fill = "0"): Field {
  return { number: value, width, fill };
}

/** Days since the first of January, from 0. */
function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getFullYear(), 0, 1);
  const day = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((day - start) / 1000 / secondsOfDay);
}

/** Week of the year whose first day is this day of the week (0: Sunday). */
function weekOfYear(date: Date, firstDay: number): number {
  const weekday = (date.getDay() - firstDay + 7) % 7;
  return Math.floor((dayOfYear(date) + 7 - weekday) / 7);
}

/** Year and week by ISO 8601: a week belongs to the year of its Thursday. */
function isoWeek(date: Date): { year: number; week: number } {
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate());
  thursday.setDate(thursday.getDate() + 3 - ((date.getDay() + 6) % 7));
  return { year: thursday.getFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}

function hour12(date: Date): number {
  return date.getHours() % 12 || 12;
}

const fields: Readonly<Record<string, (date: Date) => Field>> = {
  a: (date) => days[date.getDay()]!.slice(0, 3),
  A: (date) => days[date.getDay()]!,
  b: (date) => months[date.getMonth()]!.slice(0, 3),
  B: (date) => months[date.getMonth()]!,
  C: (date) => number(Math.floor(date.getFullYear() / 100)),
  d: (date) => number(date.getDate()),
  e: (date) => number(date.getDate(), 2, " "),
  f: (date) => number(date.getMilliseconds() * 1000, 6),
  g: (date) => number(isoWeek(date).year % 100),
  G: (date) => number(isoWeek(date).year, 4),
  h: (date) => months[date.getMonth()]!.slice(0, 3),
  H: (date) => number(date.getHours()),
  I: (date) => number(hour12(date)),
  j: (date) => number(dayOfYear(date) + 1, 3),
  k: (date) => number(date.getHours(), 2, " "),
  l: (date) => number(hour12(date), 2, " "),
  m: (date) => number(date.getMonth() + 1),
  M: (date) => number(date.getMinutes()),
  n: () => "\n",
  p: (date) => (date.getHours() < 12 ? "AM" : "PM"),
  P: (date) => (date.getHours() < 12 ? "am" : "pm"),
  s: (date) => number(Math.floor(date.getTime() / 1000), 1),
  S: (date) => number(date.getSeconds()),
  t: () => "\t",
  u: (date) => number(date.getDay() || 7, 1),
  U: (date) => number(weekOfYear(date, 0)),
  V: (date) => number(isoWeek(date).week),
  w: (date) => number(date.getDay(), 1),
  W: (date) => number(weekOfYear(date, 1)),
  y: (date) => number(date.getFullYear() % 100),
  Y: (date) => number(date.getFullYear(), 1),
  // The clock of a template knows no time zone.
  z: () => "",
  Z: () => "",
  "%": () => "%",
};
