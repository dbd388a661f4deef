/** Which file an address names, and that none outside the page's folders is named. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { addressFeed, findFile } from "./page-files.ts";

const folders = { "/": "/page", "/models/nano/": "/models/nano" };

test.each([
  ["/", join("/page", "index.html")],
  ["/assets/index-1.js", join("/page", "assets", "index-1.js")],
  ["/data/", join("/page", "data", "index.html")],
  ["/models/nano/config.json", join("/models/nano", "config.json")],
  ["/models/other/config.json", join("/page", "models", "other", "config.json")],
  ["/a%20b.svg", join("/page", "a b.svg")],
])("%s is a file of its folder", (address, path) => {
  expect(findFile(folders, address)).toBe(path);
});

test.each([
  "/../secret",
  "/assets/../../secret",
  "/assets/%2e%2e/secret",
  "/assets/..%2fsecret",
  "/models/nano/%2e%2e%2fsecret",
  "/a%5c..%5csecret",
  "/.hidden",
  "/a%00.js",
  "/C:secret",
  "/%",
  "secret",
])("%s names no file", (address) => {
  expect(findFile(folders, address)).toBeUndefined();
});

test("a feed's addresses are those of the server, and its texts stay", () => {
  const feed = '<link href="./feed.xml"/><link href="./#/systems/xtr"/><title>as in ./a</title>';
  expect(addressFeed(feed, "http://127.0.0.1:8700")).toBe(
    '<link href="http://127.0.0.1:8700/feed.xml"/>' +
      '<link href="http://127.0.0.1:8700/#/systems/xtr"/><title>as in ./a</title>',
  );
});
