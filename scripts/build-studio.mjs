/**
 * Builds the page of `jeton studio` into the folder `studio` of a build of the library: bundled by Vite from
 * `studio/` against that build, with the catalogue's data and feeds beside it.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { marked } from "marked";
import { build } from "vite";

/**
 * @param {string} root the repository
 * @param {string} library folder of the built library; the page goes into its folder `studio`
 */
export async function buildStudio(root, library) {
  const target = join(library, "studio");
  await bundle(root, library, target);
  await writeData(library, target, { base: "./", server: true });
  writeServiceWorker(root, target);
}

/** The page reaches the library through the entries of package.json only. */
function entriesOf(root, library) {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return Object.entries(exports).flatMap(([name, entry]) => {
    const file = typeof entry === "string" ? entry : entry.default;
    if (!file.startsWith("./dist/") || !file.endsWith(".js")) return [];
    const path = `jeton${name.slice(1)}`.replace(/[/.]/g, "\\$&");
    return [{ find: new RegExp(`^${path}$`), replacement: join(library, file.slice(7)) }];
  });
}

async function bundle(root, library, outDir) {
  await build({
    configFile: false,
    root: join(root, "studio"),
    base: "./",
    // The library has parts for Node that the page leaves out; each would be a warning.
    logLevel: "error",
    resolve: { alias: entriesOf(root, library) },
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    worker: { format: "es", plugins: () => [leaveOut(), besideThePage()] },
    plugins: [leaveOut(), besideThePage()],
    build: {
      outDir,
      emptyOutDir: true,
      target: "es2022",
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
    },
  });
}

/**
 * Leaves out what is there already or is no script: the WebAssembly runtime, which stands beside the page as
 * `onnxruntime/`, and the types and maps beside scripts that the library names by a pattern.
 */
function leaveOut() {
  return {
    name: "leave-out",
    generateBundle(_options, files) {
      for (const name of Object.keys(files)) {
        if (/\.(?:wasm|map|ts)$|\.js-[^/]*\.map$/.test(name)) delete files[name];
      }
    },
  };
}

/**
 * The solver HiGHS is an optional package: a script asks for it where the page's server has it, as `highs/highs.mjs`
 * beside the folder of the scripts.
 */
function besideThePage() {
  return {
    name: "beside-the-page",
    enforce: "pre",
    resolveId: (id) => (id === "highs" ? { id: "../highs/highs.mjs", external: "absolute" } : null),
  };
}

/**
 * Catalogue, pages of the systems, texts to search in, plots and feeds.
 *
 * @param base address at which feeds are published, with a slash at its end
 * @param server whether a server with a model of its own stands behind the page
 * @param webgpu whether the runtime's files for WebGPU stand beside the page
 */
export async function writeData(library, target, { base, server, webgpu = false }) {
  const from = (path) => import(pathToFileURL(join(library, path)).href);
  const catalogue = await from("catalogue/index.js");
  const pages = await catalogue.readCatalogue();
  const data = join(target, "data");
  mkdirSync(join(data, "systems"), { recursive: true });
  mkdirSync(join(data, "plots"), { recursive: true });
  const write = (path, value) => writeFileSync(join(data, path), JSON.stringify(value));
  write("place.json", { server, webgpu });
  write("catalogue.json", pages.map(catalogue.entryOf));
  write(
    "search.json",
    pages.map(({ slug, sections, claims }) => ({
      slug,
      text: [
        ...sections.map(({ markdown }) => plainText(markdown)),
        ...claims.map(({ text }) => text),
      ].join("\n"),
    })),
  );
  for (const { sections, ...page } of pages) {
    const html = sections.map(({ title, markdown }) => ({
      title,
      html: forThePage(marked.parse(markdown, { async: false, gfm: true })),
    }));
    write(`systems/${page.slug}.json`, { ...page, sections: html });
    const plot = catalogue.plotFile(page.slug);
    if (existsSync(plot)) copyFileSync(plot, join(data, "plots", `${page.slug}.svg`));
  }
  const entries = catalogue.feedEntries(pages);
  writeFileSync(join(target, "feed.xml"), catalogue.writeAtomFeed(entries, { base }));
  writeFileSync(join(target, "feed.json"), catalogue.writeJsonFeed(entries, { base }));
}

/** Prose of Markdown: without code blocks, tables and marks. */
function plainText(markdown) {
  return markdown
    .replace(/```[\s\S]*?```/g, "")
    .replace(/^\|.*$/gm, "")
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[*`#>]/g, "");
}

/**
 * HTML of a README as the page shows it: links to files of the repository lead nowhere there, so only their text
 * stays; code and tables can be scrolled by keys; a number of the prose stays on one line with its percent sign, and an
 * option of a command with its dashes.
 */
function forThePage(html) {
  return html
    .replace(/<pre>[\s\S]*?<\/pre>|<code>[^<]*<\/code>|\d %/g, (found) =>
      found.startsWith("<code>")
        ? found.replace(/--[a-z][a-z-]*/g, '<span class="option">$&</span>')
        : found.replace(/^(\d) %$/, "$1&nbsp;%"),
    )
    .replace(/<a href="(?!https?:)[^"]*"[^>]*>([\s\S]*?)<\/a>/g, "<span>$1</span>")
    .replace(/<th([^>]*)><\/th>/g, "<td$1></td>")
    .replace(/<pre>/g, '<pre tabindex="0" role="group" aria-label="Code">')
    .replace(
      /<table>[\s\S]*?<\/table>/g,
      '<div class="scroll" tabindex="0" role="group" aria-label="Table">$&</div>',
    );
}

/** The service worker with the list of files that it keeps at the first visit. */
export function writeServiceWorker(root, target) {
  const names = readdirSync(target, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      relative(target, join(entry.parentPath ?? entry.path, entry.name))
        .split(sep)
        .join("/"),
    )
    .filter((name) => name !== "service-worker.js" && !/^(onnxruntime|models|highs)\//.test(name))
    .sort();
  const hash = createHash("sha256");
  for (const name of names) hash.update(`${name}\0`).update(readFileSync(join(target, name)));
  const kept = names.filter((name) => name !== "index.html");
  const source = readFileSync(join(root, "studio/service-worker.js"), "utf8")
    .replace('"VERSION"', JSON.stringify(hash.digest("hex").slice(0, 16)))
    .replace('["FILES"]', JSON.stringify(["./", ...kept.map((name) => `./${name}`)]));
  writeFileSync(join(target, "service-worker.js"), source);
}
