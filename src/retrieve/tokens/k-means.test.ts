import { describe, expect, test } from "vitest";
import { createRandom } from "../../core/index.ts";
import { normalizeRows } from "../records.ts";
import { assignRows, clusterRows, groupCentroids, groupFrom } from "./k-means.ts";
import { dotAt } from "./products.ts";

/** Rows around 40 directions. */
function sampleRows(count: number, dim: number, seed: number): Float32Array {
  const random = createRandom(seed, "k-means rows");
  const centers = Array.from({ length: 40 * dim }, () => random.normal());
  const rows = Float32Array.from({ length: count * dim }, () => 0.8 * random.normal());
  for (let row = 0; row < count; row++) {
    const center = random.integer(40);
    for (let i = 0; i < dim; i++) rows[row * dim + i]! += centers[center * dim + i]!;
  }
  return normalizeRows(rows, dim, "tokens", "test");
}

describe("k-means", () => {
  test("by hand: two bunches of the plane", () => {
    const rows = normalizeRows(
      Float32Array.of(1, 0.1, 1, -0.1, -0.1, 1, 0.1, 1),
      2,
      "tokens",
      "test",
    );
    const centroids = clusterRows(rows, { centroids: 2, dim: 2, seed: 3 });
    const nearest = assignRows(rows, centroids, 2);
    expect(nearest[0]).toBe(nearest[1]);
    expect(nearest[2]).toBe(nearest[3]);
    expect(nearest[0]).not.toBe(nearest[2]);
    for (let i = 0; i < 2; i++) {
      expect(dotAt(centroids, nearest[0]! * 2, Float32Array.of(1, 0), 0, 2)).toBeCloseTo(1, 5);
    }
  });

  test("each row goes to its nearest centroid where they are few", () => {
    const [rows, centroids] = [sampleRows(200, 8, 1), sampleRows(50, 8, 2)];
    for (const [row, nearest] of assignRows(rows, centroids, 8).entries()) {
      const products = Array.from({ length: 50 }, (_, at) =>
        dotAt(rows, row * 8, centroids, at * 8, 8),
      );
      expect(nearest).toBe(products.indexOf(Math.max(...products)));
    }
  });

  test("every centroid is in one group, and among many the nearest is nearly always found", () => {
    const [rows, centroids] = [sampleRows(400, 16, 3), sampleRows(2 * groupFrom, 16, 4)];
    const { members, centers } = groupCentroids(centroids, 16);
    expect(centers.length / 16).toBe(members.length);
    const all = members.flatMap((some) => [...some]).sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 2 * groupFrom }, (_, at) => at));
    let same = 0;
    for (const [row, nearest] of assignRows(rows, centroids, 16).entries()) {
      let best = Number.NEGATIVE_INFINITY;
      for (let at = 0; at < 2 * groupFrom; at++) {
        best = Math.max(best, dotAt(rows, row * 16, centroids, at * 16, 16));
      }
      if (dotAt(rows, row * 16, centroids, nearest * 16, 16) === best) same++;
    }
    expect(same).toBeGreaterThan(320);
  });
});
