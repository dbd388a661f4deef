import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createProgressLine,
  createProgressMeter,
  formatBytes,
  formatCount,
  formatDuration,
  formatRate,
} from "./progress.ts";

describe("createProgressMeter", () => {
  test("a steady pace is measured and gives the time left", () => {
    let time = 0;
    const meter = createProgressMeter({ now: () => time });
    expect(meter.update(0, 100)).toMatchObject({ rate: 0, secondsLeft: undefined });
    for (let second = 1; second <= 20; second++) {
      time = second * 1000;
      expect(meter.update(second * 4, 100).rate).toBeCloseTo(4);
    }
    expect(meter.update(80, 100).secondsLeft).toBeCloseTo(5);
  });

  test("only the last seconds count, and a step back starts anew", () => {
    let time = 0;
    const meter = createProgressMeter({ window: 5, now: () => time });
    meter.update(0);
    for (let second = 1; second <= 30; second++) {
      time = second * 1000;
      meter.update(second <= 10 ? second * 100 : 1000 + (second - 10));
    }
    time = 31_000;
    expect(meter.update(1021).rate).toBeCloseTo(1);
    expect(meter.update(3).rate).toBe(0);
  });
});

describe("createProgressLine", () => {
  test("rewrites one line on a terminal and takes it away", () => {
    let time = 0;
    let written = "";
    const line = createProgressLine({
      write: (text) => {
        written += text;
      },
      isTerminal: true,
      now: () => time,
    });
    line.show("one");
    line.show("too soon");
    time = 200;
    line.show("two");
    line.clear();
    line.clear();
    expect(written).toBe("\r\u001b[Kone\r\u001b[Ktwo\r\u001b[K");
  });

  test("says nothing elsewhere about what is quick, and a line now and then about the rest", () => {
    let time = 0;
    let written = "";
    const line = createProgressLine({
      write: (text) => {
        written += text;
      },
      isTerminal: false,
      now: () => time,
    });
    for (; time <= 25_000; time += 500) line.show(`${time}`);
    line.clear();
    expect(written).toBe("10000\n20000\n");
  });
});

describe("quantities", () => {
  test("are written with three digits and the right unit", () => {
    expect([0, 999, 999.6, 1040, 12_345, 999_499, 999_500, 673_000_000].map(formatBytes)).toEqual([
      "0 B",
      "999 B",
      "1.00 kB",
      "1.04 kB",
      "12.3 kB",
      "999 kB",
      "1.00 MB",
      "673 MB",
    ]);
    expect([512, 260_032, 134_515_008, 1_240_000_000].map(formatCount)).toEqual([
      "512",
      "260K",
      "135M",
      "1.24B",
    ]);
    expect([0.424, 9.94, 9.96, 59.6, 125, 4321].map(formatDuration)).toEqual([
      "0.42 s",
      "9.9 s",
      "10 s",
      "1 min 00 s",
      "2 min 05 s",
      "1 h 12 min",
    ]);
    expect([0.4242, 9.996, 95.24, 812.4].map(formatRate)).toEqual(["0.42", "10.0", "95.2", "812"]);
  });

  test("never lose more than their last digit", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1000, max: 9e14 }), (bytes) => {
        const [number, unit] = formatBytes(bytes).split(" ");
        const factor = { kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 }[unit!]!;
        expect(Math.abs(Number(number) * factor - bytes) / bytes).toBeLessThan(0.00501);
        expect(number!.replace(".", "").length).toBeGreaterThanOrEqual(3);
      }),
    );
  });
});
