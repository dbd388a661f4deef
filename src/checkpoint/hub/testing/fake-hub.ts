/** A hub with one repository, and what it can be made to do wrong. */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const commit = "0123456789abcdef0123456789abcdef01234567";
export const token = "hf_secretOfTheTests";

/** What the fake hub does wrong, changed by each test. */
export interface Faults {
  /** Called with every request for content; true when it has answered (wrongly) itself. */
  onContent?: (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean;
  /** As `onContent`, for every request of the hub's API. */
  onApi?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

/** A hub that serves one repository as huggingface.co does, and a store on another port. */
export class FakeHub {
  files: Map<string, Buffer> = new Map();
  faults: Faults = {};
  /** Whether files are listed with sizes and checksums; some mirrors have no such listing. */
  hasTree: boolean = true;
  head: string = commit;
  requests: {
    method: string;
    url: string;
    range: string | undefined;
    authorization: string | undefined;
    server: string;
  }[] = [];
  readonly #hub: Server = createServer((request, response) => this.#answerHub(request, response));
  readonly #store: Server = createServer((request, response) =>
    this.#answerStore(request, response),
  );

  async start(): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    }
  }
  async stop(): Promise<void> {
    for (const server of [this.#hub, this.#store]) {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    }
  }
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`;
  }
  get #storeAddress(): string {
    return `http://127.0.0.1:${(this.#store.address() as AddressInfo).port}`;
  }
  /** Requests for the content of a path that reached the hub or its store. */
  contentRequests(path: string): typeof this.requests {
    return this.requests.filter(
      ({ url, method }) =>
        method === "GET" && url.endsWith(`/${path}`) && !url.includes("/resolve/"),
    );
  }

  #record(request: IncomingMessage, server: string): void {
    this.requests.push({
      method: request.method!,
      url: request.url!,
      range: request.headers.range,
      authorization: request.headers.authorization,
      server,
    });
  }
  static #checksum(path: string, body: Buffer): { etag: string; lfs: boolean } {
    const lfs = path.endsWith(".safetensors");
    const hash = lfs ? createHash("sha256") : createHash("sha1").update(`blob ${body.length}\0`);
    return { etag: hash.update(body).digest("hex"), lfs };
  }
  static #fail(response: ServerResponse, status: number, code: string): void {
    response.writeHead(status, { "x-error-code": code, "content-type": "application/json" });
    response.end(JSON.stringify({ error: code }));
  }
  #answerHub(request: IncomingMessage, response: ServerResponse): void {
    this.#record(request, "hub");
    const { pathname } = new URL(request.url!, this.endpoint);
    if (pathname.startsWith("/api/")) {
      if (!this.faults.onApi?.(request, response)) this.#answerApi(request, response);
      return;
    }
    const path = decodeURIComponent(
      pathname.match(new RegExp(`^/team/tiny/resolve/${this.head}/(.+)$`))?.[1] ?? "",
    );
    const body = this.files.get(path);
    if (!body) {
      FakeHub.#fail(response, 404, "EntryNotFound");
      return;
    }
    const { etag, lfs } = FakeHub.#checksum(path, body);
    if (lfs) {
      response.writeHead(302, {
        location: `${this.#storeAddress}/store/${path}`,
        "x-linked-etag": `"${etag}"`,
        "x-linked-size": String(body.length),
        "x-repo-commit": this.head,
      });
      response.end();
      return;
    }
    response.setHeader("etag", `"${etag}"`);
    this.#sendContent(request, response, body);
  }
  #answerApi(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url!, this.endpoint);
    const revision = pathname.match(/^\/api\/models\/team\/tiny\/(?:revision|tree)\/([^/]+)$/)?.[1];
    if (!revision) {
      FakeHub.#fail(response, 404, "RepoNotFound");
      return;
    }
    if (!["main", "HEAD", "v1.0", this.head].includes(revision)) {
      FakeHub.#fail(response, 404, "RevisionNotFound");
      return;
    }
    response.setHeader("content-type", "application/json");
    if (pathname.includes("/revision/")) {
      const siblings = [...this.files.keys()].map((rfilename) => ({ rfilename }));
      const model = { id: "team/tiny", sha: this.head, siblings, private: false, gated: false };
      response.end(JSON.stringify(model));
    } else if (!this.hasTree) FakeHub.#fail(response, 404, "");
    else if (searchParams.get("cursor")) response.end(JSON.stringify(this.#entries().slice(2)));
    else {
      // Two pages, as of a large repository.
      const next = `${this.endpoint}${pathname}?recursive=true&cursor=2`;
      response.setHeader("link", `<${next}>; rel="next"`);
      const folder = { type: "directory", path: "onnx", size: 0, oid: "b".repeat(40) };
      response.end(JSON.stringify([folder, ...this.#entries().slice(0, 2)]));
    }
  }
  /** The files as the hub lists them, with sizes and checksums. */
  #entries(): object[] {
    return [...this.files].map(([path, body]) => {
      const { etag, lfs } = FakeHub.#checksum(path, body);
      const size = body.length;
      if (!lfs) return { type: "file", path, size, oid: etag };
      const pointer = { oid: etag, size, pointerSize: 130 };
      return { type: "file", path, size, oid: "a".repeat(40), lfs: pointer };
    });
  }
  #answerStore(request: IncomingMessage, response: ServerResponse): void {
    this.#record(request, "store");
    const body = this.files.get(request.url!.replace("/store/", ""))!;
    response.setHeader("etag", `"${createHash("md5").update(body).digest("hex")}"`);
    this.#sendContent(request, response, body);
  }
  #sendContent(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
    if (this.faults.onContent?.(request, response, body)) return;
    const start = Number(request.headers.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
    if (start > 0 && start >= body.length) {
      response.writeHead(416, { "content-range": `bytes */${body.length}` });
      response.end();
      return;
    }
    const headers = { "content-length": body.length - start, "accept-ranges": "bytes" };
    if (start > 0) {
      response.writeHead(206, {
        ...headers,
        "content-range": `bytes ${start}-${body.length - 1}/${body.length}`,
      });
    } else response.writeHead(200, headers);
    response.end(request.method === "HEAD" ? undefined : body.subarray(start));
  }
}
