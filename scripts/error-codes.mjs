// Writes docs/errors.md from the codes that the sources throw: `node scripts/error-codes.mjs [--check]`.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const target = `${root}docs/errors.md`;
const isCode = (text) => /^[a-z0-9]+(?:-[a-z0-9]+)+$/.test(text);

/** The codes that an expression may give: a text, or either side of a condition. */
function literalsOf(node) {
  if (ts.isStringLiteralLike(node)) return isCode(node.text) ? [node.text] : [];
  if (ts.isConditionalExpression(node)) {
    return [...literalsOf(node.whenTrue), ...literalsOf(node.whenFalse)];
  }
  if (ts.isBinaryExpression(node)) return [...literalsOf(node.left), ...literalsOf(node.right)];
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node))
    return literalsOf(node.expression);
  return [];
}

const visitAll = (node, visit) => {
  visit(node);
  node.forEachChild((child) => visitAll(child, visit));
};

const parametersOf = (node) =>
  node.parameters.map(({ name }) => (ts.isIdentifier(name) ? name.text : ""));

/** Functions of a file that take a code, by name: the place of that parameter. */
function codeTakers(file) {
  const takers = new Map([["UsageError", 0]]);
  visitAll(file, (node) => {
    const isNamed = ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node);
    const made =
      ts.isVariableDeclaration(node) && node.initializer && ts.isArrowFunction(node.initializer);
    if (!(isNamed || made) || !node.name) return;
    const at = parametersOf(made ? node.initializer : node).indexOf("code");
    if (at >= 0) takers.set(node.name.getText(file), at);
  });
  return takers;
}

/** The name that a call or `new` is of. */
function calledName({ expression }) {
  if (ts.isIdentifier(expression)) return expression.text;
  return ts.isPropertyAccessExpression(expression) ? expression.name.text : "";
}

/** Calls `note(codes, isUsage)` for the codes that a file gives to errors. */
function visitCodes(file, exported, note) {
  const takers = codeTakers(file);
  visitAll(file, (node) => {
    const name = ts.isImportSpecifier(node) ? node.name.text : undefined;
    if (name !== undefined && !takers.has(name) && exported.has(name))
      takers.set(name, exported.get(name));
  });
  visitAll(file, (node) => {
    const isNamed =
      ts.isPropertyAssignment(node) || (ts.isVariableDeclaration(node) && node.initializer);
    if (isNamed && /^(?:code|\w+Code)$/.test(node.name.getText(file))) {
      note(literalsOf(node.initializer), false);
    } else if (
      ts.isBinaryExpression(node) &&
      node.operatorToken.kind === ts.SyntaxKind.EqualsToken &&
      /\bcode$/.test(node.left.getText(file))
    ) {
      note(literalsOf(node.right), false);
    } else if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      const name = calledName(node);
      const argument = takers.has(name) ? node.arguments?.[takers.get(name)] : undefined;
      if (argument) note(literalsOf(argument), name === "UsageError");
    }
  });
}

/** Every code with the modules that throw it and whether it is one of the command line, in alphabetical order. */
export function collectErrorCodes() {
  const files = execFileSync("git", ["ls-files", "--", "src"], { cwd: root, encoding: "utf8" })
    .split("\n")
    .filter(
      (path) => /\.ts$/.test(path) && !/\.test\.ts$|\/testing\/|\/reproduction[^/]*$/.test(path),
    )
    .map((path) => [path, readFileSync(`${root}${path}`, "utf8")])
    .filter(([, text]) => /code\b|UsageError/i.test(text))
    .map(([path, text]) => [path, ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)]);
  const exported = new Map(files.flatMap(([, file]) => [...codeTakers(file)]));
  const codes = new Map();
  for (const [path, file] of files) {
    const module = path.split("/").length > 2 ? path.split("/")[1] : "jeton";
    visitCodes(file, exported, (found, isUsage) => {
      for (const code of found) {
        const known = codes.get(code) ?? { modules: new Set(), isUsage: false };
        known.modules.add(module);
        known.isUsage ||= isUsage;
        codes.set(code, known);
      }
    });
  }
  return [...codes].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The document. */
export function formatErrorCodes() {
  const rows = collectErrorCodes().map(
    ([code, { modules, isUsage }]) =>
      `| \`${code}\` | ${[...modules]
        .sort()
        .map((module) => (isUsage && module === "cli" ? "cli (bad usage)" : module))
        .join(", ")} |`,
  );
  return `# Error codes

Every error that a caller can cause is a \`JetonError\`: \`code\` is stable, \`message\` is for people, \`details\`
holds the offending value and what was expected. Match on \`code\`, never on the message:

\`\`\`ts
import { JetonError, loadModel } from "jeton";

try {
  await loadModel("no/such/folder/here");
} catch (error) {
  if (JetonError.isInstance(error)) console.log(error.code, error.details);
}
\`\`\`

The command ends with status 2 where its own line is at fault, *bad usage* below, and with 1 otherwise.
This list is generated by \`node scripts/error-codes.mjs\`.

| code | module |
|---|---|
${rows.join("\n")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = formatErrorCodes();
  if (!process.argv.includes("--check")) writeFileSync(target, text);
  else if (readFileSync(target, "utf8") !== text) {
    console.error("docs/errors.md is out of date: run node scripts/error-codes.mjs");
    process.exitCode = 1;
  }
}
