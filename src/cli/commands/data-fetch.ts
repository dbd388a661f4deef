/** `jeton data fetch`: downloads files of the data registry. */
import { formatBytes } from "../../core/progress.ts";
import type { FetchedFile } from "../../data/index.ts";
import { type Command, defineCommand } from "../command.ts";
import { type DataFetchDocument, writeJson } from "../json-output.ts";
import { createStatusLine } from "../options/locate.ts";

export const command: Command = defineCommand({
  name: "data fetch",
  summary: "download public data files, verified by checksum",
  description:
    "Downloads files of the data registry from their public addresses into the data folder (JETON_DATA, " +
    "otherwise ~/.cache/jeton/data) and verifies their checksums. A file is complete or absent; an " +
    "interrupted download is resumed. Files that were derived from public ones cannot be downloaded and " +
    "are reported. NAME is a file or a folder of the registry; without one all files are fetched. " +
    "JETON_DATA_MIRROR replaces the host of the addresses. The exit status is 1 if a download failed or " +
    "a named file is neither there nor downloadable.",
  positionals: [{ name: "NAME", repeatable: true }],
  options: {
    quiet: { kind: "flag", short: "q", help: "no progress on standard error" },
  },
  examples: [
    { line: "jeton data fetch text/tinyshakespeare.txt", shows: "one file, ready for data:NAME" },
    { line: "jeton data fetch", shows: "all data that tests and reproductions can use" },
  ],
  async run(context, { quiet, json }, names) {
    const { stdout, stderr, environment, signal } = context;
    const { fetchData, targetFolder } = await import("../../data/index.ts");
    const folder = targetFolder(environment);
    const line = createStatusLine(context);
    const files = await fetchData(names, {
      environment,
      signal,
      ...(!quiet && {
        onProgress: ({ name, bytes, totalBytes, filesDone, files: count }) => {
          const total = totalBytes === undefined ? "" : ` of ${formatBytes(totalBytes)}`;
          line.show(`${filesDone} of ${count} files; ${name}: ${formatBytes(bytes)}${total}`);
        },
      }),
    }).finally(() => line.clear());
    const isFailed = ({ state }: FetchedFile): boolean =>
      state === "failed" || (state === "derived" && names.length > 0);
    if (json) await writeJson<DataFetchDocument>(stdout, { folder, files });
    else {
      for (const file of files) {
        if (file.state === "downloaded") await stdout.write(`${file.name}\n`);
        if (!isFailed(file)) continue;
        const reason =
          file.error?.message ?? `${file.name} is made from ${file.address} (${file.derived})`;
        await stderr.write(`${stderr.style.red("error:")} ${reason}\n`);
      }
      await stderr.write(`${summarize(files)}; in ${folder}\n`);
    }
    return files.some(isFailed) ? 1 : 0;
  },
});

function summarize(files: readonly FetchedFile[]): string {
  const labels = {
    downloaded: "downloaded",
    present: "already there",
    derived: "not downloadable",
    failed: "failed",
  } as const;
  return Object.entries(labels)
    .map(([state, label]) => [files.filter((file) => file.state === state).length, label] as const)
    .filter(([count]) => count > 0)
    .map(([count, label]) => `${count} ${label}`)
    .join(", ");
}
