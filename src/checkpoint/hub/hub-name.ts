/** Names and revisions of models on the hub. */
import { JetonError } from "../../core/index.ts";

/** A name on the hub. */
export interface HubName {
  readonly owner: string;
  readonly name: string;
  readonly revision?: string;
}

/**
 * Reads `owner/name` or `owner/name@revision` by the hub's rules: letters, digits, `-`, `_` and `.`,
 * up to 96 of them, no `--` or `..`, nothing but letters, digits and `_` at either end.
 *
 * @throws JetonError `model-name-invalid`.
 */
export function parseHubName(text: string): HubName {
  const [id = "", ...rest] = text.split("@");
  const parts = id.split("/");
  const [owner, name] = parts;
  const fits = (part: string | undefined): boolean =>
    part !== undefined && /^\w([\w.-]{0,94}\w)?$/.test(part) && !/--|\.\.|\.git$/.test(part);
  if (parts.length !== 2 || !fits(owner) || !fits(name) || id.length > 96 || rest.length > 1) {
    throw new JetonError(
      `${JSON.stringify(text)} is neither a folder nor a name on the hub (owner/name or owner/name@revision)`,
      { code: "model-name-invalid", details: { found: text, expected: "owner/name[@revision]" } },
    );
  }
  const [revision] = rest;
  if (revision !== undefined) checkRevision(revision);
  return { owner: owner!, name: name!, ...(revision !== undefined && { revision }) };
}

/**
 * The revision that a call names: in the option, after the name, or `main`.
 *
 * @throws JetonError `model-name-invalid` where two differ
 */
export function pickRevision(
  text: string,
  parsed: HubName,
  { revision }: { revision?: string },
): string {
  if (revision !== undefined && parsed.revision !== undefined && revision !== parsed.revision) {
    throw new JetonError(`${text} names one revision and the option another: ${revision}`, {
      code: "model-name-invalid",
      details: { found: [parsed.revision, revision], expected: "one revision" },
    });
  }
  return checkRevision(revision ?? parsed.revision ?? "main");
}

/** A revision becomes part of a path (`refs/<revision>`): the rules of Git, and no way out of there. */
function checkRevision(revision: string): string {
  const valid =
    revision.length <= 200 &&
    /^[\w.+-]+(\/[\w.+-]+)*$/.test(revision) &&
    !revision.split("/").some((part) => /^[.-]|\.\.|\.$|\.lock$/.test(part));
  if (valid) return revision;
  throw new JetonError(`${JSON.stringify(revision)} cannot be a branch, a tag or a commit`, {
    code: "model-name-invalid",
    details: { found: revision, expected: "a Git revision such as main or v1.0" },
  });
}
