/** Turns an error of the operating system about a file into a `JetonError`. */
import { JetonError } from "../../core/index.ts";

const codes: Readonly<Record<string, { code: string; message: string }>> = {
  ENOENT: { code: "file-not-found", message: "does not exist" },
  ENOTDIR: { code: "file-not-found", message: "does not exist (a part of the path is a file)" },
  EISDIR: { code: "file-is-folder", message: "is a folder; expected a file" },
  EACCES: { code: "file-not-permitted", message: "may not be accessed by this user" },
  EPERM: { code: "file-not-permitted", message: "may not be accessed by this user" },
  EROFS: { code: "file-system-read-only", message: "is on a read-only file system" },
  ENOSPC: { code: "disk-full", message: "cannot be written: the disk is full" },
  EDQUOT: { code: "disk-full", message: "cannot be written: the disk quota is used up" },
  ELOOP: { code: "file-link-loop", message: "is a symbolic link that leads back to itself" },
};

/** The system's code of an error (`ENOENT`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}

/** A `JetonError` for a failed file operation on `path`; a `JetonError` is returned as it is. */
export function fileError(error: unknown, path: string): JetonError {
  if (JetonError.isInstance(error)) return error;
  const known = codes[systemCode(error) ?? ""];
  const message = known?.message ?? `could not be used: ${(error as Error).message}`;
  return new JetonError(`${path} ${message}`, {
    code: known?.code ?? "file-failed",
    cause: error,
    details: { path, system: systemCode(error) },
  });
}
