#!/usr/bin/env node
/** The `jeton` command. */
import { createProcessContext } from "./context.ts";
import { runCommandLine } from "./run-command-line.ts";

const status = await runCommandLine(process.argv.slice(2), createProcessContext());
// Everything has been written and closed by now; an open standard input must not keep us here.
process.exit(status);
