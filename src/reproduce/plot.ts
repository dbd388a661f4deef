/** Plots of results: a few panels of lines or bars, drawn as SVG by Vega-Lite, without a browser. */
import { JetonError } from "../core/index.ts";
import type { ClaimResult, ReproductionResult } from "./run-reproduction.ts";

/** An axis of a panel. */
export interface Axis {
  readonly title: string;
  /** Default `"linear"`; `"category"` keeps the order in which values come. */
  readonly scale?: "linear" | "log" | "category";
  /** Whether zero belongs to the axis. Default: for bars yes, for lines no. */
  readonly zero?: boolean;
}

/** One point; `low` and `high` bound an interval that is drawn around it. */
export interface PlotPoint {
  readonly x: number | string;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

/** Points that belong together, with their name in the legend. */
export interface Series {
  readonly name: string;
  readonly points: readonly PlotPoint[];
  /** A reference, drawn dashed. Default false. */
  readonly dashed?: boolean;
}

/** One panel of a plot: series over common axes. */
export interface Panel {
  readonly title: string;
  readonly kind: "line" | "bar" | "scatter";
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
}

/** What a reproduction shows. */
export interface Plot {
  readonly title: string;
  /** Side by side, two in a row. */
  readonly panels: readonly Panel[];
}

type Specification = Record<string, unknown>;

/** Draws a plot as SVG. */
export async function renderPlot(plot: Plot): Promise<string> {
  return render({
    title: { text: plot.title, anchor: "start", fontSize: 15, offset: 12 },
    columns: 2,
    spacing: 40,
    concat: plot.panels.map(panelSpecification),
    resolve: { scale: { color: "independent", strokeDash: "independent" } },
  });
}

/** Draws measured numbers beside baselines and the paper's, one row for each claim. */
export async function renderClaims(result: ReproductionResult): Promise<string> {
  const rows = result.claims.map((claim): Specification => {
    const values = barsOf(claim);
    return {
      title: {
        text: `${claim.id} (${claim.unit || "number"}): ${claim.verdict}`,
        anchor: "start",
        fontWeight: "normal",
      },
      width: 480,
      height: 18 * values.length,
      data: { values },
      mark: { type: "bar", tooltip: false },
      encoding: {
        y: { field: "what", type: "nominal", title: null, sort: null },
        x: { field: "value", type: "quantitative", title: null },
        color: { field: "what", type: "nominal", legend: null, scale: barColors },
      },
    };
  });
  return render({
    title: { text: `jeton reproduce ${result.system}`, anchor: "start", fontSize: 15, offset: 12 },
    spacing: 12,
    vconcat: rows,
    resolve: { scale: { x: "independent", y: "independent", color: "independent" } },
  });
}

const barColors: Specification = {
  domain: ["measured", "baseline", "control", "paper"],
  range: ["#2563eb", "#94a3b8", "#d4d4d8", "#ea580c"],
};

function barsOf(claim: ClaimResult): { what: string; value: number }[] {
  const bars = [{ what: "measured", value: claim.measured }];
  if (claim.baseline !== null) bars.push({ what: "baseline", value: claim.baseline });
  bars.push({ what: "control", value: claim.control.measured });
  if (!("value" in claim.paper)) return bars;
  const { value, unit } = claim.paper;
  if (unit === claim.unit) bars.push({ what: "paper", value });
  return bars;
}

function panelSpecification(panel: Panel): Specification {
  const { kind, series } = panel;
  const values = series.flatMap(({ name, points }) =>
    points.map((point) => ({ ...point, series: name })),
  );
  const names = series.map(({ name }) => name);
  const legend = { orient: "bottom", columns: 2, labelLimit: 260 };
  const encoding: Specification = {
    x: { field: "x", ...axisEncoding(panel.x, kind === "bar", categoryLabels(panel)) },
    y: { field: "y", ...axisEncoding(panel.y, kind === "bar") },
    color: {
      field: "series",
      type: "nominal",
      title: null,
      scale: { domain: names },
      sort: names,
      legend,
    },
    ...(kind === "bar" && { xOffset: { field: "series", sort: names } }),
    ...(kind === "line" &&
      series.some(({ dashed }) => dashed) && {
        strokeDash: {
          field: "series",
          type: "nominal",
          title: null,
          sort: names,
          legend,
          scale: { domain: names, range: series.map(({ dashed }) => (dashed ? [5, 4] : [1, 0])) },
        },
      }),
  };
  const mark = {
    line: { type: "line", point: { size: 22 } },
    bar: { type: "bar" },
    scatter: { type: "point", filled: true, size: 40 },
  }[kind];
  const bounds = values.filter(({ low, high }) => low !== undefined && high !== undefined);
  const interval: Specification = {
    data: { values: bounds },
    mark: { type: "rule", opacity: 0.6 },
    encoding: {
      ...encoding,
      y: { field: "low", ...axisEncoding(panel.y, kind === "bar") },
      y2: { field: "high" },
      strokeDash: { value: [1, 0] },
      // On a bar of its own colour an interval would be invisible.
      ...(kind === "bar" && { color: { value: "black" }, detail: { field: "series" } }),
    },
  };
  return {
    title: { text: panel.title, anchor: "start", fontWeight: "normal", fontSize: 12 },
    width: panelWidth,
    height: 230,
    layer: [{ data: { values }, mark, encoding }, ...(bounds.length > 0 ? [interval] : [])],
  };
}

/** Width of a panel, and of a character of its labels at the most, in pixels. */
const panelWidth = 340;
const characterWidth = 6;

/** Names of categories stand upright where each has the space, otherwise slanted, so that none covers another. */
function categoryLabels({ series }: Panel): Specification {
  const names = new Set(series.flatMap(({ points }) => points.map(({ x }) => String(x))));
  const longest = Math.max(0, ...Array.from(names, (name) => name.length));
  const fits = (longest + 1) * characterWidth <= panelWidth / Math.max(1, names.size);
  return fits
    ? { labelAngle: 0, labelLimit: 120 }
    : { labelAngle: -35, labelAlign: "right", labelBaseline: "middle", labelLimit: 160 };
}

function axisEncoding(
  { title, scale = "linear", zero }: Axis,
  isBar: boolean,
  labels: Specification = {},
): Specification {
  if (scale === "category") return { type: "nominal", title, sort: null, axis: labels };
  return {
    type: "quantitative",
    title,
    scale: scale === "log" ? { type: "log" } : { zero: zero ?? isBar },
  };
}

/**
 * Makes sure that plots can be drawn: by Vega and Vega-Lite, optional packages.
 *
 * @throws JetonError `plot-packages-missing` where they are not installed
 */
export async function checkPlotPackages(): Promise<void> {
  await loadPlotPackages();
}

/** They take a quarter of a second to load: only who draws waits for it. */
async function loadPlotPackages() {
  try {
    const [{ compile }, vega] = await Promise.all([import("vega-lite"), import("vega")]);
    return { compile, vega };
  } catch (cause) {
    throw new JetonError(
      "drawing a plot needs the packages vega and vega-lite: npm install vega vega-lite",
      { code: "plot-packages-missing", details: { expected: ["vega", "vega-lite"] }, cause },
    );
  }
}

async function render(specification: Specification): Promise<string> {
  const { compile, vega } = await loadPlotPackages();
  const font = "sans-serif";
  const { spec } = compile({
    background: "white",
    padding: 12,
    config: { font, view: { stroke: "#ddd" }, axis: { gridColor: "#eee" } },
    ...specification,
  } as unknown as Parameters<typeof compile>[0]);
  const view = new vega.View(vega.parse(spec), { renderer: "none" });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
