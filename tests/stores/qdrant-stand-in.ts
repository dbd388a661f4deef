/**
 * A server that answers what the store asks of Qdrant, written from its documentation: the official client and the
 * store are so tested everywhere. It scores every point, as Qdrant does with `exact: true`.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

type Json = Readonly<Record<string, unknown>>;

interface Point {
  readonly id: string;
  readonly vector: Readonly<Record<string, unknown>>;
  readonly payload: Json;
}

interface Collection {
  readonly vectors: Json;
  readonly points: Map<string, Point>;
}

/** Starts a server on a free port. */
export async function startStandIn(): Promise<{ url: string; close(): Promise<void> }> {
  const collections = new Map<string, Collection>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const body = text === "" ? {} : (JSON.parse(text) as Json);
      const path = new URL(request.url!, "http://x").pathname;
      const result = answer(collections, `${request.method} ${path}`, body);
      response.writeHead(result === undefined ? 404 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify(path === "/" ? result : { result, status: "ok", time: 0 }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function answer(collections: Map<string, Collection>, request: string, body: Json): unknown {
  if (request === "GET /") return { title: "qdrant", version: "1.18.0" };
  const [, method, name = "", rest] = /^(\w+) \/collections\/([\w-]+)(\/.*)?$/.exec(request) ?? [];
  const collection = collections.get(name);
  if (rest === "/exists") return { exists: collection !== undefined };
  if (method === "PUT" && rest === undefined) {
    collections.set(name, { vectors: body["vectors"] as Json, points: new Map() });
    return true;
  }
  if (collection === undefined) return undefined;
  const { points, vectors } = collection;
  switch (`${method} ${rest ?? ""}`) {
    case "GET ":
      return { config: { params: { vectors } } };
    case "PUT /points":
      for (const point of body["points"] as Point[]) points.set(point.id, point);
      return { status: "completed" };
    case "POST /points/delete":
      for (const id of body["points"] as string[]) points.delete(id);
      return { status: "completed" };
    case "POST /points/count":
      return { count: points.size };
    case "POST /points":
      return (body["ids"] as string[]).flatMap((id) => points.get(id) ?? []);
    case "POST /points/query":
      return { points: search([...points.values()], body) };
    default:
      return undefined;
  }
}

function search(points: readonly Point[], body: Json): { score: number; payload: Json }[] {
  const using = String(body["using"]);
  return points
    .filter(({ vector, payload }) => vector[using] !== undefined && holds(body["filter"], payload))
    .map(({ vector, payload }) => ({
      score: scoreOf(using, body["query"], vector[using]),
      payload,
    }))
    .sort((a, b) => b.score - a.score)
    .slice(0, Number(body["limit"]));
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, value, at) => sum + value * b[at]!, 0);

interface Sparse {
  readonly indices: readonly number[];
  readonly values: readonly number[];
}

function scoreOf(using: string, query: unknown, vector: unknown): number {
  if (using === "dense") return dot(query as number[], vector as number[]);
  if (using === "tokens") {
    const rows = vector as number[][];
    return (query as number[][]).reduce(
      (sum, row) => sum + Math.max(...rows.map((other) => dot(row, other))),
      0,
    );
  }
  const [a, b] = [query as Sparse, vector as Sparse];
  return a.indices.reduce((sum, id, at) => {
    const place = b.indices.indexOf(id);
    return place < 0 ? sum : sum + a.values[at]! * b.values[place]!;
  }, 0);
}

/** `must`: all; `should`: at least one, if there are any; `must_not`: none. Lists hold by any element. */
function holds(condition: unknown, payload: Json): boolean {
  if (condition === undefined) return true;
  const {
    must = [],
    should,
    must_not = [],
    key,
    match,
    range,
  } = condition as {
    readonly must?: unknown[];
    readonly should?: unknown[];
    readonly must_not?: unknown[];
    readonly key?: string;
    readonly match?: { readonly value: unknown };
    readonly range?: Readonly<Record<string, number>>;
  };
  if (key === undefined) {
    const isAny =
      should === undefined || should.length === 0 || should.some((one) => holds(one, payload));
    return (
      isAny &&
      must.every((one) => holds(one, payload)) &&
      !must_not.some((one) => holds(one, payload))
    );
  }
  const found = key.split(".").reduce<unknown>((value, part) => (value as Json)?.[part], payload);
  const values = Array.isArray(found) ? (found as unknown[]) : [found];
  if (match !== undefined) return values.includes(match.value);
  return values.some(
    (value) =>
      typeof value === "number" &&
      (range!["gt"] === undefined || value > range!["gt"]) &&
      (range!["gte"] === undefined || value >= range!["gte"]) &&
      (range!["lt"] === undefined || value < range!["lt"]) &&
      (range!["lte"] === undefined || value <= range!["lte"]),
  );
}
