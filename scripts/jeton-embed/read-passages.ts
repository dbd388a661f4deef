/** Passages of source files: comments that describe something, with its name and the code behind it. */
import type { Passage } from "./make-pairs.ts";

const maxComment = 900;
const maxCode = 500;

/** Docstrings of functions and classes. */
export function readPythonPassages(text: string, group: string): Passage[] {
  const pattern =
    /^([ \t]*)(?:async )?(?:def|class) (\w+)[^\n]*(?:\n(?!\s*(?:def|class) )[^\n]*){0,12}?:\s*\n\s*[rRuU]?"""([\s\S]*?)"""([\s\S]{0,900})/gm;
  return [...text.matchAll(pattern)].flatMap(
    ([, indent = "", name = "", doc = "", behind = ""]) => {
      const comment = cleanComment(doc);
      if (comment.length < 40) return [];
      return [{ group, name: splitName(name), text: comment, code: bodyOf(behind, indent) }];
    },
  );
}

/** JSDoc comments of declarations. */
export function readTypeScriptPassages(text: string, group: string): Passage[] {
  const pattern =
    /\/\*\*([\s\S]*?)\*\/\s*((?:export )?(?:declare )?(?:abstract )?(?:async )?(?:function|class|const|interface|type|enum|public|private|protected|static|readonly|get|set)?\s*(\w+)[\s\S]{0,500})/g;
  return [...text.matchAll(pattern)].flatMap(([, doc = "", code = "", first = ""]) => {
    const name = /(?:function|class|const|interface|type|enum)\s+(\w+)/.exec(code)?.[1] ?? first;
    const comment = cleanComment(
      doc
        .replace(/^\s*\* ?/gm, "")
        .replace(/```[\s\S]*?```/g, " ")
        .replace(/^@example[\s\S]*/m, ""),
    );
    if (comment.length < 40) return [];
    return [{ group, name: splitName(name), text: comment, code: code.slice(0, maxCode).trim() }];
  });
}

/** A comment without markup, cut to a length at a word. */
function cleanComment(doc: string): string {
  const paragraphs = doc
    .split(/\n\s*\n/)
    .map((paragraph) =>
      paragraph
        .replace(/:\w+:`([^`]*)`/g, "$1")
        .replace(/\{@link ([^}]*)\}/g, "$1")
        .replace(/``?([^`]*)`?`/g, "$1")
        .replace(/^\s*(>>>|\.\.\.|\.\. )[^\n]*/gm, "")
        .replace(/\s+/g, " ")
        .trim(),
    )
    .filter((paragraph) => paragraph !== "");
  const text = paragraphs.join("\n");
  return text.length <= maxComment ? text : text.slice(0, text.lastIndexOf(" ", maxComment));
}

/** Code of a body, up to the next declaration of the same depth. */
function bodyOf(behind: string, indent: string): string {
  const end = behind.search(new RegExp(`\\n${indent}(?:def|class|@|async)\\b`));
  return (end < 0 ? behind : behind.slice(0, end)).slice(0, maxCode).trim();
}

/** `getScriptPrefix` and `get_script_prefix` as words. */
function splitName(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/_+/g, " ")
    .trim()
    .toLowerCase();
}
