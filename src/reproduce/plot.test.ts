import { expect, test } from "vitest";
import { renderPlot } from "./plot.ts";

test("plots show every series, and are the same every time", async () => {
  const plot = {
    title: "Loss & context",
    panels: (["line", "bar", "scatter"] as const).map((kind) => ({
      title: `a ${kind} panel`,
      kind,
      x: { title: "length", scale: kind === "bar" ? "category" : "log" } as const,
      y: { title: "nats" },
      series: ["ours", "theirs"].map((name, at) => ({
        name,
        dashed: at === 1,
        points: [1, 2, 4].map((x) => ({ x, y: x + at, low: x, high: x + 2 })),
      })),
    })),
  };
  const svg = await renderPlot(plot);
  for (const word of ["Loss &amp; context", "a line panel", "a bar panel", "ours", "theirs"]) {
    expect(svg).toContain(word);
  }
  expect(svg).toBe(await renderPlot(plot));
});

test("names of categories are slanted where they would cover each other", async () => {
  const draw = (names: readonly string[]): Promise<string> =>
    renderPlot({
      title: "",
      panels: [
        {
          title: "found",
          kind: "bar",
          x: { title: "", scale: "category" },
          y: { title: "%" },
          series: [{ name: "found", points: names.map((x, y) => ({ x, y })) }],
        },
      ],
    });
  const slant = "rotate(325)"; // 35 degrees upwards
  expect(await draw(["prose", "code", "recall"])).not.toContain(slant);
  const long = ["the whole prompt", "sinks and window", "the last tokens", "random tokens"];
  const svg = await draw(long);
  expect(svg.split(slant)).toHaveLength(1 + long.length);
  for (const name of long) expect(svg).toContain(`>${name}</text>`);
});
