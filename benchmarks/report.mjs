/**
 * What every benchmark says in the same way: medians, the row, the machine, the table.
 *
 * @typedef {object} Row one line of a benchmark's result
 * @property {string} name what was measured
 * @property {number | null} ours median of jeton; null when only the peer ran
 * @property {number | null} peer median of the peer; null when only jeton ran
 * @property {string} peerName
 * @property {string} unit of `ours` and `peer`
 * @property {number | null} ratio above 1 where jeton is better
 * @property {number} runs how many measurements each median is taken from
 */
import os from "node:os";

/**
 * The middle value; the mean of the two middle ones for an even count.
 * @param {number[]} values at least one
 * @returns {number}
 */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Makes a row from the measurements of both sides.
 * @param {object} options
 * @param {string} options.name
 * @param {number[]} options.ours measurements; may be empty
 * @param {number[]} options.peer measurements; may be empty
 * @param {string} options.peerName
 * @param {string} options.unit
 * @param {boolean} [options.lowerIsBetter] default false (a rate)
 * @returns {Row}
 */
export function makeRow({ name, ours, peer, peerName, unit, lowerIsBetter = false }) {
  const own = ours.length === 0 ? null : median(ours);
  const other = peer.length === 0 ? null : median(peer);
  const ratio = own === null || other === null ? null : lowerIsBetter ? other / own : own / other;
  const runs = Math.min(...[ours.length, peer.length].filter((count) => count > 0));
  return { name, ours: own, peer: other, peerName, unit, ratio, runs };
}

/**
 * One line about the machine and its present load.
 * @returns {string}
 */
export function describeMachine() {
  const cpus = os.cpus();
  const memory = (os.totalmem() / 2 ** 30).toFixed(0);
  const load = os.loadavg().map((value) => value.toFixed(2));
  return [
    `${cpus.length} x ${cpus[0]?.model.trim() ?? "unknown processor"}`,
    `${memory} GiB`,
    `${os.platform()} ${os.arch()}`,
    `Node ${process.versions.node}`,
    `load average ${load.join(" ")}`,
  ].join(", ");
}

/** Starts to watch how much of the machine all processes use, whoever they belong to. */
export function watchMachine() {
  const sum = () => {
    let busy = 0;
    let all = 0;
    for (const { times } of os.cpus()) {
      const total = times.user + times.nice + times.sys + times.idle + times.irq;
      all += total;
      busy += total - times.idle;
    }
    return { busy, all };
  };
  const before = sum();
  return {
    /**
     * The share of the machine that processes other than the measured ones used since the start.
     * @param {number} ownMilliseconds processor time of the measured processes
     * @returns {number} 0 to 1; os.cpus() counts in ticks, so that short spans are coarse
     */
    foreignShare(ownMilliseconds) {
      const after = sum();
      const all = after.all - before.all;
      const foreign = after.busy - before.busy - ownMilliseconds;
      return all === 0 ? 0 : Math.min(1, Math.max(0, foreign / all));
    },
  };
}

const digits = (value) =>
  value === null
    ? "-"
    : value >= 100
      ? value.toFixed(0)
      : value >= 10
        ? value.toFixed(1)
        : value.toFixed(2);

/**
 * The rows as a Markdown table.
 * @param {Row[]} rows
 * @returns {string}
 */
export function formatTable(rows) {
  const cells = [
    ["measurement", "jeton", "peer", "unit", "ratio", "runs", "peer's name"],
    ...rows.map((row) => [
      row.name,
      digits(row.ours),
      digits(row.peer),
      row.unit,
      row.ratio === null ? "-" : row.ratio.toFixed(2),
      String(row.runs),
      row.peerName,
    ]),
  ];
  const numeric = new Set([1, 2, 4, 5]);
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const lines = cells.map((row) => {
    const padded = row.map((cell, column) =>
      numeric.has(column) ? cell.padStart(widths[column]) : cell.padEnd(widths[column]),
    );
    return `| ${padded.join(" | ")} |`;
  });
  const rule = widths.map((width, column) =>
    numeric.has(column) ? `${"-".repeat(width + 1)}:` : "-".repeat(width + 2),
  );
  lines.splice(1, 0, `|${rule.join("|")}|`);
  return lines.join("\n");
}
