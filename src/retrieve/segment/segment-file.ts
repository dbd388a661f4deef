/**
 * A segment as one file: a magic number, a header in JSON that names the sections, then the sections,
 * each at a multiple of 8 bytes. All but the texts are read when the file is opened; a text is read where it lies, and
 * compared with its checksum, when it is wanted. Spans and lists of documents are kept as differences in variable-length numbers.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { crc32 } from "node:zlib";
import { fileError, writeFileAtomically } from "../../checkpoint/index.ts";
import { JetonError } from "../../core/index.ts";
import { runsOf } from "../tokens/inverted-file.ts";
import type { FieldValue } from "../types.ts";
import {
  decodeLists,
  decodeSpans,
  encodeClusters,
  encodeLists,
  encodeSpans,
} from "./compact-arrays.ts";
import { openPostings, type SegmentData, type TokenRows } from "./segment-data.ts";

const magic = "JETONSG1";
/** Version 1 held lists and clusters in 32 bits each, and residuals without scales. */
const version = 2;

type Section = Uint8Array | Uint16Array | Uint32Array | Float32Array;

const types = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array } as const;
type TypeName = keyof typeof types;

interface SectionEntry {
  readonly type: TypeName;
  /** From the end of the header. */
  readonly offset: number;
  readonly bytes: number;
  readonly crc: number;
}

interface Header {
  readonly version: number;
  readonly count: number;
  readonly denseDim?: number;
  readonly tokenDim?: number;
  readonly sections: Readonly<Record<string, SectionEntry>>;
}

/** A segment over its file. */
export interface SegmentFile extends SegmentData {
  close(): void;
}

/** Writes a segment's file, complete or not at all. */
export async function writeSegment(path: string, segment: SegmentData): Promise<void> {
  const sections = collectSections(segment);
  const entries: Record<string, SectionEntry> = {};
  let offset = 0;
  for (const [name, data] of sections) {
    const bytes = asBytes(data);
    entries[name] = { type: typeOf(data), offset, bytes: bytes.length, crc: crc32(bytes) };
    offset = align(offset + bytes.length);
  }
  const header: Header = {
    version,
    count: segment.count,
    ...(segment.dense && { denseDim: segment.dense.dim }),
    ...(segment.tokens && { tokenDim: segment.tokens.dim }),
    sections: entries,
  };
  const json = Buffer.from(JSON.stringify(header));
  const start = Buffer.alloc(align(16 + json.length));
  start.write(magic, 0, "latin1");
  start.writeUInt32LE(json.length, 8);
  start.writeUInt32LE(crc32(json), 12);
  json.copy(start, 16);
  await writeFileAtomically(path, async (handle) => {
    await handle.writeFile(start);
    for (const [, data] of sections) {
      const bytes = asBytes(data);
      await handle.writeFile(bytes);
      const padding = align(bytes.length) - bytes.length;
      if (padding > 0) await handle.writeFile(new Uint8Array(padding));
    }
  });
}

/**
 * Opens a segment's file.
 *
 * @throws JetonError `segment-invalid` for a file that is damaged or of another version
 */
export function openSegment(path: string): SegmentFile {
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    throw fileError(error, path);
  }
  try {
    return readSegment(path, descriptor);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

function readSegment(path: string, descriptor: number): SegmentFile {
  const bytes = statSync(path).size;
  const read = (offset: number, length: number): Uint8Array<ArrayBuffer> => {
    const into = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const count = readSync(descriptor, into, done, length - done, offset + done);
      if (count === 0) throw invalid(path, "it is shorter than its header says");
      done += count;
    }
    return into;
  };
  const { header, start } = readHeader(path, bytes, read);
  const section = <T extends TypeName>(name: string, type: T): InstanceType<(typeof types)[T]> => {
    const entry = header.sections[name];
    if (entry?.type !== type) throw invalid(path, `it has no section ${name}`);
    const data = read(start + entry.offset, entry.bytes);
    if (crc32(data) !== entry.crc) throw invalid(path, `its section ${name} is damaged`);
    return new types[type](data.buffer) as InstanceType<(typeof types)[T]>;
  };
  const strings = (name: string): string[] =>
    cutStrings(section(name, "u8"), section(`${name}.ends`, "u32"));
  const textEnds = section("texts.ends", "u32");
  const listOffsets = section("postings.offsets", "u32");
  const texts = header.sections["texts"];
  if (texts === undefined) throw invalid(path, "it has no section texts");
  // Segments of earlier releases have none.
  const textSums =
    header.sections["texts.crcs"] === undefined ? undefined : section("texts.crcs", "u32");
  const denseDim = header.denseDim;
  return {
    count: header.count,
    ids: strings("ids"),
    fields: strings("fields").map((json) => JSON.parse(json) as Record<string, FieldValue>),
    text(place) {
      const from = place === 0 ? 0 : textEnds[place - 1]!;
      const bytes = read(start + texts.offset + from, textEnds[place]! - from);
      if (textSums !== undefined && crc32(bytes) !== textSums[place]) {
        throw invalid(path, `text ${place} of it is damaged`);
      }
      return decoder.decode(bytes);
    },
    postings: openPostings({
      terms: strings("terms"),
      offsets: listOffsets,
      ...decodeLists(section("postings", "u8"), listOffsets),
      lengths: section("lengths", "u32"),
    }),
    dense:
      denseDim === undefined
        ? undefined
        : {
            dim: denseDim,
            places: section("dense.places", "u32"),
            vectors: section("dense.vectors", "f32"),
          },
    sparse:
      header.sections["sparse.terms"] === undefined
        ? undefined
        : {
            terms: section("sparse.terms", "u32"),
            offsets: section("sparse.offsets", "u32"),
            places: section("sparse.places", "u32"),
            weights: section("sparse.weights", "f32"),
          },
    tokens: readTokens(header, section),
    close: () => closeSync(descriptor),
  };
}

function readHeader(
  path: string,
  bytes: number,
  read: (offset: number, length: number) => Uint8Array,
): { header: Header; start: number } {
  if (bytes < 16) throw invalid(path, "it is no segment");
  const lead = Buffer.from(read(0, 16));
  const length = lead.readUInt32LE(8);
  if (lead.toString("latin1", 0, 8) !== magic || length > bytes - 16) {
    throw invalid(path, "it is no segment");
  }
  const json = read(16, length);
  if (crc32(json) !== lead.readUInt32LE(12)) throw invalid(path, "its header is damaged");
  const header = JSON.parse(decoder.decode(json)) as Header;
  if (header.version !== version) {
    const why = `it is of version ${header.version}, and this release reads ${version}: index the texts again`;
    throw invalid(path, why);
  }
  return { header, start: align(16 + length) };
}

type ReadSection = <T extends TypeName>(name: string, type: T) => InstanceType<(typeof types)[T]>;

function readTokens(header: Header, section: ReadSection): TokenRows | undefined {
  const dim = header.tokenDim;
  if (dim === undefined) return undefined;
  const offsets = section("tokens.offsets", "u32");
  const spans = decodeSpans(section("tokens.spans", "u8"), offsets);
  if (header.sections["tokens.flat"] !== undefined) {
    return { dim, offsets, spans, flat: section("tokens.flat", "f32"), inverted: undefined };
  }
  const centroids = section("tokens.centroids", "f32");
  const width = header.sections["tokens.clusters"]?.type === "u16" ? "u16" : "u32";
  const inverted = {
    ...{ dim, centroids },
    ...runsOf(section("tokens.clusters", width), centroids.length / dim),
    codes: section("tokens.codes", "u8"),
    scales: section("tokens.scales", "u8"),
    exact: section("tokens.exact", "f32"),
    codebooks: section("tokens.codebooks", "f32"),
    codebookOf: section("tokens.codebookOf", "u16"),
  };
  return { dim, offsets, spans, flat: undefined, inverted };
}

function collectSections(segment: SegmentData): Map<string, Section> {
  const sections = new Map<string, Section>();
  const addStrings = (name: string, strings: readonly string[]): Uint8Array[] => {
    const parts = strings.map((text) => encoder.encode(text));
    let end = 0;
    const ends = Uint32Array.from(parts, (part) => (end += part.length));
    sections.set(name, Buffer.concat(parts));
    sections.set(`${name}.ends`, ends);
    return parts;
  };
  addStrings("ids", segment.ids);
  addStrings(
    "fields",
    segment.fields.map((fields) => JSON.stringify(fields)),
  );
  const texts = addStrings(
    "texts",
    Array.from({ length: segment.count }, (_, place) => segment.text(place)),
  );
  // Each has its own, since each is read alone.
  sections.set(
    "texts.crcs",
    Uint32Array.from(texts, (text) => crc32(text)),
  );
  const { terms, ...lists } = segment.postings.arrays;
  addStrings("terms", terms);
  sections.set("postings.offsets", lists.offsets);
  sections.set("postings", encodeLists(lists));
  sections.set("lengths", lists.lengths);
  const { dense, sparse, tokens } = segment;
  if (dense !== undefined) {
    sections.set("dense.places", dense.places);
    sections.set("dense.vectors", dense.vectors);
  }
  if (sparse !== undefined) {
    sections.set("sparse.terms", sparse.terms);
    sections.set("sparse.offsets", sparse.offsets);
    sections.set("sparse.places", sparse.places);
    sections.set("sparse.weights", sparse.weights);
  }
  if (tokens !== undefined) addTokens(sections, tokens);
  return sections;
}

function addTokens(
  sections: Map<string, Section>,
  { offsets, spans, flat, inverted }: TokenRows,
): void {
  sections.set("tokens.offsets", offsets);
  sections.set("tokens.spans", encodeSpans(spans, offsets));
  if (flat !== undefined) sections.set("tokens.flat", flat);
  if (inverted === undefined) return;
  sections.set("tokens.centroids", inverted.centroids);
  sections.set("tokens.clusters", encodeClusters(inverted));
  sections.set("tokens.codes", inverted.codes);
  sections.set("tokens.scales", inverted.scales);
  sections.set("tokens.exact", inverted.exact);
  sections.set("tokens.codebooks", inverted.codebooks);
  sections.set("tokens.codebookOf", inverted.codebookOf);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function cutStrings(bytes: Uint8Array, ends: Uint32Array): string[] {
  return Array.from(ends, (end, i) =>
    decoder.decode(bytes.subarray(i === 0 ? 0 : ends[i - 1], end)),
  );
}

function align(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

function asBytes(data: Section): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function typeOf(data: Section): TypeName {
  if (data instanceof Float32Array) return "f32";
  if (data instanceof Uint32Array) return "u32";
  return data instanceof Uint16Array ? "u16" : "u8";
}

function invalid(path: string, why: string): JetonError {
  return new JetonError(`the segment ${path} cannot be read: ${why}`, {
    code: "segment-invalid",
    details: { path, found: why, expected: "a segment as jeton writes it" },
  });
}
