/** LoCoV1's tasks by hand, and QMSum's meetings against the figures that are known of BM25. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf, errorOf } from "../../testing/code-of.ts";
import { testData } from "../../testing/test-data.ts";
import { createBm25Ranker, type Ranker } from "../ranking/rankers.ts";
import { averageLoco, evaluateLocoTask, type LocoTask, truncateDocuments } from "./loco.ts";
import { makeMeetingTask } from "./meetings.ts";
import { readLocoTasks } from "./read-tasks.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "jeton-loco-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function writeTasks(name: string, lines: readonly unknown[]): string {
  const folder = mkdtempSync(join(root, `${name}-`));
  writeFileSync(join(folder, "all.jsonl"), lines.map((line) => JSON.stringify(line)).join("\n"));
  return folder;
}

const document = (pid: string, passage: string, dataset = "qmsum") => ({ dataset, pid, passage });
const query = (qid: string, text: string, answers: string[], dataset = "qmsum") => ({
  ...{ dataset, qid, query: text, answer_pids: answers },
});

const small = [
  document("d1", "the king of denmark"),
  document("d2", "the queen"),
  document("d3", "a court"),
  document("e1", "a film", "summ_screen"),
  query("q1", "king", ["d1"]),
  query("q2", "queen and court", ["d3"]),
  query("s1", "film", ["e1"], "summ_screen"),
];

/** Documents in the order in which they are stored. */
const stored: Ranker = {
  name: "stored",
  index: (documents) => () => documents.map(({ id }, at) => ({ id, score: -at })),
};

describe("tasks", () => {
  test("by hand: two tasks, their figures and their mean", async () => {
    const tasks = await readLocoTasks(writeTasks("small", small));
    expect(tasks.map(({ name }) => name)).toEqual(["qmsum", "summ_screen"]);
    const [first, second] = [
      await evaluateLocoTask(tasks[0]!, stored),
      await evaluateLocoTask(tasks[1]!, stored),
    ];
    // Ranks 1 and 3: 1 and 1 / log2(4).
    expect(first.ndcg).toBeCloseTo((1 + 0.5) / 2, 12);
    expect(first).toMatchObject({ queries: 2, documents: 3, documentLength: 35 / 3 });
    expect(averageLoco([first, second])).toEqual({ ndcg: 0.875, tasks: 2, isComplete: false });
  });

  test("an answer without a document is named with its line; a damaged file with its name", async () => {
    const folder = writeTasks("answers", [...small, query("q9", "x", ["d9"])]);
    const error = await errorOf(readLocoTasks(folder));
    expect(error.details).toMatchObject({ path: join(folder, "all.jsonl"), line: 8, found: "d9" });
    writeFileSync(join(folder, "more.jsonl.gz"), "no gzip");
    expect(await codeOf(readLocoTasks(folder))).toBe("file-failed");
  });

  test("only the first words are left of truncated documents", async () => {
    const [task] = await readLocoTasks(writeTasks("cut", small));
    const texts = truncateDocuments(task!, 2).documents.map(({ text }) => text);
    expect(texts).toEqual(["the king", "the queen", "a court"]);
    expect(truncateDocuments(task!, 0).documents[0]!.text).toBe("");
    expect(truncateDocuments(task!, 2 ** 40).documents).toEqual(task!.documents);
    for (const words of [-1, 1.5, Number.NaN]) {
      expect(await codeOf(() => truncateDocuments(task!, words))).toBe("loco-option-invalid");
    }
  });

  test("what is no task is refused", async () => {
    const code = (lines: readonly unknown[], tasks?: string[]) =>
      codeOf(readLocoTasks(writeTasks("wrong", lines), { ...(tasks && { tasks }) }));
    expect(await code(small, ["qmsum"])).toBe("accepted");
    expect(await code(small, ["other"])).toBe("loco-task-invalid");
    expect(await code([])).toBe("loco-task-invalid");
    expect(await code([...small, document("d1", "again")])).toBe("loco-task-invalid");
    expect(await code([...small, query("q9", "x", ["d9"])])).toBe("loco-task-invalid");
    expect(await code([...small, { dataset: "qmsum", pid: 4 }])).toBe("loco-task-invalid");
    expect(await code([{ qid: "q1" }])).toBe("loco-task-invalid");
    expect(await code([{ ...document("d1", "x"), ...query("q1", "x", []) }])).toBe(
      "loco-task-invalid",
    );
    expect(await code([...small, query("q9", "x", ["d1", "d1"])])).toBe("loco-task-invalid");
    expect(await code([document("d1", "x", "")])).toBe("loco-task-invalid");
    expect(await code([{ ...document("", "x"), pid: 2 ** 53 }])).toBe("loco-task-invalid");
    expect(await code(small, ["qmsum", "qmsum"])).toBe("loco-task-invalid");
    expect(await code(small, "qmsum" as unknown as string[])).toBe("loco-option-invalid");
    const misspelt = readLocoTasks(writeTasks("wrong", small), { task: ["qmsum"] } as object);
    expect(await codeOf(misspelt)).toBe("loco-option-invalid");
    expect(await codeOf(() => averageLoco([]))).toBe("loco-tasks-none");
    const task: LocoTask = {
      name: "t",
      queries: [{ id: "q", text: "" }],
      documents: [],
      answers: new Map(),
    };
    const wrong: Ranker = { name: "wrong", index: () => () => [{ id: "x", score: 1 }] };
    expect(await codeOf(evaluateLocoTask(task, wrong))).toBe("loco-ranking-invalid");
  });
});

describe("QMSum", () => {
  const parts = ["test.jsonl", "val.jsonl", "academic-train.jsonl.gz", "committee-train.jsonl.gz"];
  const files = parts.map((name) => testData(`retrieval/qmsum/${name}`));
  const read = (path: string): string => {
    const bytes = readFileSync(path);
    return (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
  };

  test.skipIf(files.some(({ skip }) => skip))(
    "BM25 over the first words of meetings falls as the sheet says",
    async () => {
      const texts = files.map(({ folder }) => read(folder));
      const task = makeMeetingTask(texts, { asked: 2, queries: "summaries" });
      expect(task.documents).toHaveLength(135);
      expect(task.queries).toHaveLength(481);
      const ranker = createBm25Ranker("BM25");
      const figures: number[] = [];
      for (const words of [128, 2048]) {
        figures.push((await evaluateLocoTask(truncateDocuments(task, words), ranker)).ndcg);
      }
      expect(figures[0]).toBeCloseTo(0.169, 1);
      expect(figures[1]).toBeCloseTo(0.564, 1);
    },
  );
});
