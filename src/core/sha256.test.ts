import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { createRandom } from "./random.ts";
import { createSha256, PlainSha256 } from "./sha256.ts";

test("the digest of the standard's example", () => {
  // FIPS 180-2, appendix B.1.
  const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  expect(new PlainSha256().update("abc").hex()).toBe(digest);
  expect(createSha256().update("a").update("bc").hex()).toBe(digest);
});

test("bytes of any length, in any parts, have Node's digest", () => {
  for (let length = 0; length < 200; length++) {
    const random = createRandom(1, "sha256", length);
    const bytes = Uint8Array.from({ length }, () => random.integer(256));
    const cut = random.integer(length + 1);
    const digest = new PlainSha256().update(bytes.subarray(0, cut)).update(bytes.subarray(cut));
    expect(digest.hex()).toBe(createHash("sha256").update(bytes).digest("hex"));
  }
  expect(new PlainSha256().update("ünï").hex()).toBe(
    createHash("sha256").update("ünï").digest("hex"),
  );
});
