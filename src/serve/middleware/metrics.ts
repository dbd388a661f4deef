/**
 * Numbers about the running server in Prometheus's text format (version 0.0.4).
 */

export type Labels = Readonly<Record<string, string>>;

/** A number that only grows, one for each set of labels. */
export interface Counter {
  add(amount?: number, labels?: Labels): void;
}

/** Counts observations under upper bounds. */
export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

/** A set of metrics that is written out together. */
export interface MetricRegistry {
  /** Without label names the counter starts at 0; with labels a line appears at its first count. */
  counter(name: string, help: string, labelNames?: readonly string[]): Counter;
  /** A value that is read whenever the metrics are. */
  gauge(name: string, help: string, read: () => number): void;
  /** `bounds` ascend; an observation falls under every bound that is not below it. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    labelNames?: readonly string[],
  ): Histogram;
  /** All metrics as text, in the order of their creation. */
  render(): string;
}

/** Content type of `render`'s text. */
export const metricsContentType = "text/plain; version=0.0.4; charset=utf-8";

/** Makes an empty registry. Names and label names must be valid in Prometheus: `[a-z_]+` here. */
export function createMetricRegistry(): MetricRegistry {
  const families: (() => string[])[] = [];
  const head = (name: string, help: string, type: string): string[] => [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
  ];
  return {
    counter(name, help, labelNames = []) {
      const totals = new Map<string, number>();
      if (labelNames.length === 0) totals.set("", 0);
      families.push(() => [
        ...head(name, help, "counter"),
        ...[...totals].map(([labels, total]) => `${name}${braces(labels)} ${total}`),
      ]);
      return {
        add(amount = 1, labels = {}) {
          const key = writeLabels(labelNames, labels);
          totals.set(key, (totals.get(key) ?? 0) + amount);
        },
      };
    },
    gauge(name, help, read) {
      families.push(() => [...head(name, help, "gauge"), `${name} ${read()}`]);
    },
    histogram(name, help, bounds, labelNames = []) {
      const series = new Map<string, { counts: number[]; sum: number; count: number }>();
      families.push(() => {
        const lines = head(name, help, "histogram");
        for (const [labels, { counts, sum, count }] of series) {
          const under = labels === "" ? "" : `${labels},`;
          for (const [i, bound] of bounds.entries()) {
            lines.push(`${name}_bucket{${under}le="${bound}"} ${counts[i]}`);
          }
          lines.push(`${name}_bucket{${under}le="+Inf"} ${count}`);
          lines.push(
            `${name}_sum${braces(labels)} ${sum}`,
            `${name}_count${braces(labels)} ${count}`,
          );
        }
        return lines;
      });
      return {
        observe(value, labels = {}) {
          const key = writeLabels(labelNames, labels);
          let one = series.get(key);
          if (one === undefined) {
            one = { counts: bounds.map(() => 0), sum: 0, count: 0 };
            series.set(key, one);
          }
          for (const [i, bound] of bounds.entries()) if (value <= bound) one.counts[i]!++;
          one.sum += value;
          one.count++;
        },
      };
    },
    render: () => `${families.flatMap((lines) => lines()).join("\n")}\n`,
  };
}

function braces(labels: string): string {
  return labels === "" ? "" : `{${labels}}`;
}

function writeLabels(names: readonly string[], labels: Labels): string {
  return names.map((name) => `${name}="${escapeLabel(labels[name] ?? "")}"`).join(",");
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** What the server counts. */
export interface ServerMetrics {
  readonly registry: MetricRegistry;
  readonly requests: Counter;
  readonly promptTokens: Counter;
  readonly cachedPromptTokens: Counter;
  readonly generatedTokens: Counter;
  readonly aborted: Counter;
  readonly timeToFirstToken: Histogram;
  readonly duration: Histogram;
}

/** Makes the server's metrics; the gauges are read from what is given. */
export function createServerMetrics(read: {
  running: () => number;
  queued: () => number;
  openSequences: () => number;
}): ServerMetrics {
  const registry = createMetricRegistry();
  const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
  const metrics: ServerMetrics = {
    registry,
    requests: registry.counter("jeton_requests_total", "Requests answered, by route and status.", [
      "route",
      "status",
    ]),
    promptTokens: registry.counter("jeton_prompt_tokens_total", "Prompt tokens of requests."),
    cachedPromptTokens: registry.counter(
      "jeton_cached_prompt_tokens_total",
      "Prompt tokens whose keys and values were still in the cache.",
    ),
    generatedTokens: registry.counter("jeton_generated_tokens_total", "Tokens generated."),
    aborted: registry.counter(
      "jeton_aborted_requests_total",
      "Requests whose client went away before the answer was complete.",
    ),
    timeToFirstToken: registry.histogram(
      "jeton_time_to_first_token_seconds",
      "Seconds from the arrival of a request to its first token, waiting included.",
      seconds,
    ),
    duration: registry.histogram(
      "jeton_request_duration_seconds",
      "Seconds from the arrival of a request to the end of its answer.",
      seconds,
      ["route"],
    ),
  };
  registry.gauge("jeton_running_sequences", "Sequences that generate now.", read.running);
  registry.gauge("jeton_queued_sequences", "Sequences that wait for a place.", read.queued);
  registry.gauge("jeton_open_sequences", "Sequences open in the model.", read.openSequences);
  registry.gauge("jeton_resident_memory_bytes", "Resident memory of the whole process.", () =>
    process.memoryUsage.rss(),
  );
  return metrics;
}
