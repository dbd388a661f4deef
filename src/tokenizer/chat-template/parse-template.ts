/** Statements of the template language: from the source to a syntax tree. */
import { tokenize } from "./lexer.ts";
import { isConstantName, parseExpression, parseFilter, parseTuple } from "./parse-expression.ts";
import type { Expression, MacroSyntax, Statement, Target } from "./syntax.ts";
import { describeToken } from "./token.ts";
import { TokenStream } from "./token-stream.ts";

/** Parses a template. Throws a syntax failure with its line. */
export function parseTemplate(source: string): Statement[] {
  return new TemplateParser(new TokenStream(tokenize(source))).parse();
}

class TemplateParser {
  readonly #stream: TokenStream;
  readonly #blocks: Set<string> = new Set();

  constructor(stream: TokenStream) {
    this.#stream = stream;
  }

  parse(): Statement[] {
    const statements = this.#parseUntil([]);
    if (!this.#stream.is("end")) throw this.#stream.fail("unexpected token");
    return statements;
  }

  /** Statements up to a tag of one of these names, whose name becomes the current token. */
  #parseUntil(endNames: readonly string[]): Statement[] {
    const stream = this.#stream;
    const statements: Statement[] = [];
    while (!stream.is("end")) {
      if (stream.is("data")) {
        statements.push({ kind: "text", text: stream.next().text });
      } else if (stream.is("variable_begin")) {
        const { line } = stream.next();
        statements.push({ kind: "output", value: parseTuple(stream), line });
        stream.expect("variable_end");
      } else {
        stream.expect("block_begin");
        if (stream.isName(...endNames)) return statements;
        statements.push(...this.#parseStatement());
        stream.expect("block_end");
      }
    }
    if (endNames.length > 0) {
      throw stream.fail(
        `Unexpected end of template. Jinja was looking for the following tags: ${endNames.join(" or ")}.`,
      );
    }
    return statements;
  }

  /** The body of a tag up to its end tag, which is passed over. */
  #parseBody(endName: string): Statement[] {
    const body = this.#parseBranch([endName]);
    this.#stream.next();
    return body;
  }

  /** A body up to one of several tags, whose name becomes the current token. */
  #parseBranch(endNames: readonly string[]): Statement[] {
    this.#stream.skipOperator(":");
    this.#stream.expect("block_end");
    return this.#parseUntil(endNames);
  }

  #parseStatement(): Statement[] {
    const stream = this.#stream;
    if (!stream.is("name")) throw stream.fail("tag name expected");
    const { text: tag, line } = stream.next();
    switch (tag) {
      case "for":
        return [this.#parseFor(line)];
      case "if":
        return [this.#parseIf(line)];
      case "set":
        return [this.#parseSet(line)];
      case "macro":
        return [this.#parseMacro(line)];
      case "call":
        return [this.#parseCallBlock(line)];
      case "filter":
        return [this.#parseFilterBlock(line)];
      case "with":
        return [this.#parseWith(line)];
      case "block":
        return [this.#parseBlock(line)];
      case "print":
        return this.#parsePrint(line);
      case "break":
      case "continue":
        return [{ kind: tag, line }];
      case "generation":
        return [{ kind: "generation", body: this.#parseBody("endgeneration"), line }];
      case "autoescape": {
        const enabled = parseExpression(stream);
        return [{ kind: "autoescape", enabled, body: this.#parseBody("endautoescape"), line }];
      }
      case "extends":
      case "include":
      case "import":
      case "from":
        return [this.#parseLoad(line)];
      default:
        throw stream.fail(`Encountered unknown tag '${tag}'.`);
    }
  }

  #parseFor(line: number): Statement {
    const stream = this.#stream;
    const target = this.#parseTargets("in", false);
    stream.expectName("in");
    const iterable = parseTuple(stream, { conditions: false, endNames: ["recursive"] });
    const test = stream.skipName("if") ? parseExpression(stream) : undefined;
    const recursive = stream.skipName("recursive");
    const body = this.#parseBranch(["endfor", "else"]);
    const otherwise = stream.next().text === "else" ? this.#parseBody("endfor") : [];
    return { kind: "for", target, iterable, test, recursive, body, otherwise, line };
  }

  #parseIf(line: number): Statement {
    const stream = this.#stream;
    const branches: [Expression, Statement[]][] = [];
    while (true) {
      const test = parseTuple(stream, { conditions: false });
      branches.push([test, this.#parseBranch(["elif", "else", "endif"])]);
      const tag = stream.next().text;
      if (tag === "elif") continue;
      const otherwise = tag === "else" ? this.#parseBody("endif") : [];
      return { kind: "if", branches, otherwise, line };
    }
  }

  #parseSet(line: number): Statement {
    const stream = this.#stream;
    const target = this.#parseTargets(undefined, true);
    if (stream.skipOperator("=")) {
      return { kind: "set", target, value: parseTuple(stream), line };
    }
    const filter = stream.isOperator("|") ? parseFilter(stream, undefined) : undefined;
    return { kind: "setBlock", target, filter, body: this.#parseBody("endset"), line };
  }

  /** One or several targets of an assignment. */
  #parseTargets(endName: string | undefined, withFields: boolean): Target {
    const stream = this.#stream;
    const items: Target[] = [];
    let several = false;
    while (true) {
      if (items.length > 0) stream.expectOperator(",");
      const ends = endName !== undefined && stream.isName(endName);
      if (ends || stream.is("block_end") || stream.isOperator("=", ")")) break;
      items.push(this.#parseTarget(withFields));
      if (!stream.isOperator(",")) break;
      several = true;
    }
    const [only] = items;
    if (only === undefined) {
      throw stream.fail(`Expected an expression, got '${describeToken(stream.current)}'`);
    }
    return several ? { kind: "targets", items } : only;
  }

  #parseTarget(withFields: boolean): Target {
    const stream = this.#stream;
    if (stream.skipOperator("(")) {
      const inner = this.#parseTargets(undefined, withFields);
      stream.expectOperator(")");
      return inner;
    }
    const name = this.#parseTargetName();
    if (withFields && stream.skipOperator(".")) {
      return { kind: "field", object: name, field: stream.expect("name").text };
    }
    return { kind: "name", name };
  }

  #parseTargetName(): string {
    const stream = this.#stream;
    if (!stream.is("name")) throw stream.fail(`can't assign to '${describeToken(stream.current)}'`);
    const name = stream.next().text;
    if (isConstantName(name)) throw stream.fail("can't assign to 'const'");
    return name;
  }

  #parseParameters(): Pick<MacroSyntax, "parameters" | "defaults"> {
    const stream = this.#stream;
    const parameters: string[] = [];
    const defaults: Expression[] = [];
    stream.expectOperator("(");
    while (!stream.isOperator(")")) {
      if (parameters.length > 0) stream.expectOperator(",");
      if (!stream.is("name")) stream.expect("name");
      parameters.push(this.#parseTargetName());
      if (stream.skipOperator("=")) defaults.push(parseExpression(stream));
      else if (defaults.length > 0) {
        throw stream.fail("non-default argument follows default argument");
      }
    }
    stream.expectOperator(")");
    return { parameters, defaults };
  }

  #parseMacro(line: number): Statement {
    if (!this.#stream.is("name")) this.#stream.expect("name");
    const name = this.#parseTargetName();
    const signature = this.#parseParameters();
    const macro = { name, ...signature, body: this.#parseBody("endmacro") };
    return { kind: "macro", macro, line };
  }

  #parseCallBlock(line: number): Statement {
    const stream = this.#stream;
    const signature = stream.isOperator("(")
      ? this.#parseParameters()
      : { parameters: [], defaults: [] };
    const call = parseExpression(stream);
    if (call.kind !== "call") throw stream.fail("expected call");
    const caller = { name: undefined, ...signature, body: this.#parseBody("endcall") };
    return { kind: "call", call, caller, line };
  }

  #parseFilterBlock(line: number): Statement {
    const filter = parseFilter(this.#stream, undefined, true);
    return { kind: "filterBlock", filter, body: this.#parseBody("endfilter"), line };
  }

  #parseWith(line: number): Statement {
    const stream = this.#stream;
    const targets: [Target, Expression][] = [];
    while (!stream.is("block_end")) {
      if (targets.length > 0) stream.expectOperator(",");
      const target = this.#parseTarget(false);
      stream.expectOperator("=");
      targets.push([target, parseExpression(stream)]);
    }
    return { kind: "with", targets, body: this.#parseBody("endwith"), line };
  }

  #parseBlock(line: number): Statement {
    const stream = this.#stream;
    const name = stream.expect("name").text;
    const scoped = stream.skipName("scoped");
    const required = stream.skipName("required");
    if (this.#blocks.has(name)) throw stream.fail(`block '${name}' defined twice`);
    this.#blocks.add(name);
    const body = this.#parseBody("endblock");
    if (required && body.some((part) => part.kind !== "text" || part.text.trim() !== "")) {
      throw stream.fail("Required blocks can only contain comments or whitespace");
    }
    if (stream.isName(name)) stream.next();
    return { kind: "block", name, scoped, required, body, line };
  }

  #parsePrint(line: number): Statement[] {
    const stream = this.#stream;
    const outputs: Statement[] = [];
    while (!stream.is("block_end")) {
      if (outputs.length > 0) stream.expectOperator(",");
      outputs.push({ kind: "output", value: parseExpression(stream), line });
    }
    return outputs;
  }

  /** Tags that load other templates are parsed, because they fail only when they run. */
  #parseLoad(line: number): Statement {
    const stream = this.#stream;
    while (!stream.is("block_end")) {
      if (stream.is("end")) stream.expect("block_end");
      stream.next();
    }
    return { kind: "load", line };
  }
}
