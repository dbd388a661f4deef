import fc from "fast-check";
import { expect, test } from "vitest";
import { createMetricRegistry, createServerMetrics } from "./metrics.ts";

/** The value on the line that begins with `series`. */
function valueOnLine(text: string, series: string): number {
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  if (line === undefined) throw new Error(`no line for ${series} in\n${text}`);
  return Number(line.slice(series.length + 1));
}

test("counters add up for each set of labels, and labels are escaped", () => {
  const registry = createMetricRegistry();
  const requests = registry.counter("requests_total", "Requests.", ["route", "status"]);
  const plain = registry.counter("tokens_total", "Tokens.");
  requests.add(1, { route: "/a", status: "200" });
  requests.add(2, { status: "200", route: "/a" });
  requests.add(1, { route: 'say "hi"\\\n', status: "404" });
  expect(valueOnLine(registry.render(), "tokens_total")).toBe(0);
  plain.add(5);
  const text = registry.render();
  expect(valueOnLine(text, 'requests_total{route="/a",status="200"}')).toBe(3);
  expect(valueOnLine(text, 'requests_total{route="say \\"hi\\"\\\\\\n",status="404"}')).toBe(1);
  expect(valueOnLine(text, "tokens_total")).toBe(5);
  expect(text.endsWith("\n")).toBe(true);
});

test("a histogram counts every observation under each bound that is not below it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 20, noNaN: true })),
      fc.uniqueArray(fc.integer({ min: 0, max: 15 }), { minLength: 1, maxLength: 6 }),
      (values, unsorted) => {
        const bounds = unsorted.sort((a, b) => a - b);
        const registry = createMetricRegistry();
        const histogram = registry.histogram("seconds", "Time.", bounds, ["route"]);
        histogram.observe(1, { route: "other" });
        for (const value of values) histogram.observe(value, { route: "x" });
        const text = registry.render();
        if (values.length === 0) {
          expect(text).not.toContain('route="x"');
          return;
        }
        for (const bound of bounds) {
          const expected = values.filter((value) => value <= bound).length;
          expect(valueOnLine(text, `seconds_bucket{route="x",le="${bound}"}`)).toBe(expected);
        }
        expect(valueOnLine(text, 'seconds_bucket{route="x",le="+Inf"}')).toBe(values.length);
        expect(valueOnLine(text, 'seconds_count{route="x"}')).toBe(values.length);
        const sum = values.reduce((total, value) => total + value, 0);
        expect(valueOnLine(text, 'seconds_sum{route="x"}')).toBeCloseTo(sum, 6);
      },
    ),
  );
});

test("gauges are read when the metrics are, and every line is well-formed", () => {
  let running = 1;
  const metrics = createServerMetrics({
    running: () => running,
    queued: () => 2,
    openSequences: () => 3,
  });
  running = 7;
  metrics.requests.add(1, { route: "/health", status: "200" });
  metrics.duration.observe(0.3, { route: "/health" });
  metrics.timeToFirstToken.observe(400);
  const text = metrics.registry.render();
  expect(valueOnLine(text, "jeton_running_sequences")).toBe(7);
  expect(valueOnLine(text, "jeton_resident_memory_bytes")).toBeGreaterThan(1e6);
  const sample = /^[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[\d.e+-]+$/;
  const comment = /^# (HELP [a-z_]+ \S.*|TYPE [a-z_]+ (counter|gauge|histogram))$/;
  for (const line of text.trimEnd().split("\n")) {
    expect(line).toMatch(line.startsWith("#") ? comment : sample);
  }
});
