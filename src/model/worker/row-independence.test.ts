import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openCheckpoint } from "../../checkpoint/index.ts";
import { createRandom } from "../../core/index.ts";
import { type Device, type Remote, startInline } from "../../tensor/index.ts";
import { createRandomCheckpoint } from "../../testing/random-checkpoint.ts";
import type { TinyDimensions } from "../../testing/tiny-configs.ts";
import { decoderConfig } from "../decoder/config.ts";
import { matrixGroups } from "../decoder/decoder-names.ts";
import { nameTensors } from "../decoder/stored-names.ts";
import type { WeightFormat } from "../types.ts";
import { packIntoMemory } from "../weights/pack-checkpoint.ts";
import { fileBindings } from "../weights/trace-weights.ts";
import type { DecoderService } from "./decoder-service.ts";
import * as decoderService from "./decoder-service.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jeton-rows-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Subject {
  readonly service: Remote<DecoderService>;
  readonly vocabulary: number;
}

/** A random model of a family with its weights in a format. */
async function startSubject(
  family: string,
  format: WeightFormat,
  where: { readonly threads: number; readonly device?: Device },
  dimensions: Partial<TinyDimensions>,
): Promise<Subject> {
  const path = join(folder, `${family}-${Object.values(dimensions).join("-")}`);
  createRandomCheckpoint(path, { family, seed: 5, dtype: "F32", shards: 1, ...dimensions });
  await using checkpoint = await openCheckpoint(path);
  const config = decoderConfig(checkpoint.config);
  const { tensors } = nameTensors(checkpoint, config);
  const bindings = fileBindings(tensors, { decodes: format === "f32" });
  if (format !== "f32") {
    const packed = await packIntoMemory({ tensors }, matrixGroups(config), format, {
      inline: true,
    });
    for (const [name, data] of packed) bindings.set(name, { kind: "data", data });
  }
  const service = await startInline<DecoderService>(decoderService, "createDecoderService", {
    config,
    tensors,
    bindings,
    format,
    ...where,
    slots: 6,
  });
  return { service, vocabulary: config.vocabSize };
}

const whole = { results: "all", topK: 5, logits: true, hidden: true } as const;

/** Logits and hidden states of every row, one array a row. */
type Rows = Float32Array[];

let vocabularyOf = 0;

function rowsOf({ logits, hidden }: { logits?: Float32Array; hidden?: Float32Array }): Rows {
  const count = Math.round(logits!.length / vocabularyOf);
  const width = hidden!.length / count;
  return Array.from({ length: count }, (_, row) => {
    const joined = new Float32Array(vocabularyOf + width);
    joined.set(logits!.subarray(row * vocabularyOf, (row + 1) * vocabularyOf));
    joined.set(hidden!.subarray(row * width, (row + 1) * width), vocabularyOf);
    return joined;
  });
}

/** Feeds `ids` in passes of the given sizes, in turns, and returns every row from `from` on. */
async function inChunks(
  { service }: Subject,
  ids: readonly number[],
  chunks: readonly number[],
  from = 0,
): Promise<Rows> {
  const { handle } = await service.open({ prefix: [], promptLength: 0 });
  const rows: Rows = [];
  let turn = 0;
  for (let at = 0; at < ids.length; ) {
    const size = Math.min(at < from ? from - at : chunks[turn++ % chunks.length]!, ids.length - at);
    const [result] = await service.forward([{ handle, ids: ids.slice(at, at + size), ...whole }]);
    rows.push(...rowsOf(result!));
    at += size;
  }
  await service.release(handle);
  return rows.slice(from);
}

function expectSameBits(got: Rows, wanted: Rows): void {
  expect(got.length).toBe(wanted.length);
  const differing = got.flatMap((row, at) =>
    row.every((value, column) => value === wanted[at]![column]) ? [] : [at],
  );
  expect(differing).toEqual([]);
}

const formats: readonly WeightFormat[] = ["f32", "int8", "int8-channel", "int4"];
/** Grouped and single heads, one head of keys, wide and odd heads, windows, caps, norms of heads. */
const subjects: readonly [string, Partial<TinyDimensions>][] = [
  ["llama", {}],
  ["llama", { heads: 4, kvHeads: 4, width: 128 }],
  ["qwen2", { heads: 6, kvHeads: 1, width: 192, layers: 2 }],
  ["gemma2", { headDim: 256, layers: 2 }],
  ["gemma3", { kvHeads: 1, layers: 2 }],
  ["mistral", { width: 60, feedForward: 50, heads: 6, kvHeads: 3, layers: 3 }],
  ["qwen3", {}],
  // Experts: separate and stacked ones, shared ones, sinks, codes.
  ["mixtral", {}],
  ["qwen2-moe", { layers: 2 }],
  ["granitemoe", { layers: 2 }],
  ["gpt-oss-mxfp4", { layers: 2 }],
  // A number of sinks that fills no vector.
  ["gpt-oss", { layers: 2, heads: 6, kvHeads: 1, width: 96 }],
];

describe.each(formats)("%s: no row depends on the rows beside it", (format) => {
  test.each(subjects)("%s %o", async (family, dimensions) => {
    for (const threads of family === "llama" ? [2, 4] : [2]) {
      await checkSubject(await startSubject(family, format, { threads }, dimensions));
    }
  });

  test("in WebAssembly too", async () => {
    await checkSubject(await startSubject("llama", format, { threads: 1, device: "wasm" }, {}));
  });
});

async function checkSubject(subject: Subject): Promise<void> {
  const { service, vocabulary } = subject;
  vocabularyOf = vocabulary;
  const random = createRandom(7, "subject");
  const ids = Array.from({ length: 330 }, () => random.integer(vocabulary));
  const alone = await inChunks(subject, ids.slice(0, 70), [1]);
  const late = await inChunks(subject, ids, [1], 270);
  for (const chunks of [[70], [3, 1, 5], [16, 33]]) {
    expectSameBits(await inChunks(subject, ids.slice(0, 70), chunks), alone);
  }
  for (const chunks of [[60], [2, 17]]) {
    expectSameBits(await inChunks(subject, ids, chunks, 270), late);
  }
  await drafts(subject, ids, late);
  await company(subject, ids, late);
  await service.close();
}

/** Chains of drafts, of which the first tokens are right; and a prefix found in the cache. */
async function drafts({ service, vocabulary }: Subject, ids: number[], late: Rows): Promise<void> {
  const prefix = ids.slice(0, 271);
  const { handle, reused } = await service.open({ prefix, promptLength: 0 });
  expect(reused).toBe(270);
  const random = createRandom(8, "drafts");
  const rows: Rows = [];
  for (let at = 270; at < ids.length; ) {
    const right = Math.min(1 + random.integer(5), ids.length - at);
    const wrong = Array.from({ length: random.integer(12) }, () => random.integer(vocabulary));
    const chain = [...ids.slice(at, at + right), ...wrong];
    const [result] = await service.forward([{ handle, ids: chain, ...whole, commit: false }]);
    rows.push(...rowsOf(result!).slice(0, right));
    await service.accept(
      handle,
      Array.from({ length: right }, (_, row) => row),
    );
    at += right;
  }
  await service.release(handle);
  expectSameBits(rows, late);
}

/** The same rows while four other sequences, shorter and longer ones, take part in every pass. */
async function company({ service, vocabulary }: Subject, ids: number[], late: Rows): Promise<void> {
  const random = createRandom(9, "company");
  const others: number[] = [];
  const join = async (length: number): Promise<number> => {
    const { handle } = await service.open({ prefix: [], promptLength: 0 });
    const own = Array.from({ length }, () => random.integer(vocabulary));
    await service.forward([{ handle, ids: own, results: "none" }]);
    return handle;
  };
  others.push(await join(3), await join(100));
  const { handle } = await service.open({ prefix: [], promptLength: 0 });
  await service.forward([{ handle, ids: ids.slice(0, 270), results: "none" }]);
  others.push(await join(31), await join(400));
  const rows: Rows = [];
  for (let at = 270; at < ids.length; ) {
    const size = Math.min(1 + random.integer(4), ids.length - at);
    const steps = others.map((other) => ({
      handle: other,
      ids: Array.from({ length: 1 + random.integer(6) }, () => random.integer(vocabulary)),
      topK: 1,
      commit: false,
    }));
    const own = { handle, ids: ids.slice(at, at + size), ...whole };
    const results = await service.forward([...steps.slice(0, 2), own, ...steps.slice(2)]);
    rows.push(...rowsOf(results[2]!));
    at += size;
  }
  for (const open of [handle, ...others]) await service.release(open);
  expectSameBits(rows, late);
}
