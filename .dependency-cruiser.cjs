const { existsSync, readdirSync } = require("node:fs");
const { join } = require("node:path");

/**
 * Keeps the layers: a module (a folder of `src/`) imports only from modules of lower layers or from
 * itself. There are no circles, and no system imports another system's folder. Tests,
 * `reproduction.ts` files and their parts (`reproduction-*.ts`) may import any module.
 */
const layers = [
  ["core"],
  ["tensor", "tokenizer", "checkpoint", "transport"],
  ["data", "lexical"],
  ["model"],
  ["generate", "train"],
  [
    "vocabulary",
    "context",
    "retrieve",
    "match",
    "extract",
    "prompt",
    "code",
    "image",
    "curate",
    "lens",
  ],
  ["evaluate"],
  ["cli", "serve", "reproduce", "catalogue"],
];
const free = "(\\.test\\.ts|/reproduction[a-z-]*\\.ts|/testing/.*)$";
const forbidden = [
  // Gradient rules of operators refer to each other: inside their folder circles are natural.
  {
    name: "no-circles",
    severity: "error",
    from: { pathNot: "^src/tensor/operators/" },
    // Types leave no import behind, so a circle through one is none.
    to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
  },
  {
    name: "only-the-catalogue-imports-reproductions",
    severity: "error",
    from: { pathNot: "^src/systems-table\\.ts$|\\.test\\.ts$|/reproduction[a-z-]*\\.ts$" },
    to: { path: "/reproduction[a-z-]*\\.ts$" },
  },
  {
    name: "what-is-packed-imports-nothing-of-tests",
    severity: "error",
    from: { pathNot: "\\.test\\.ts$|/testing/" },
    to: { path: "/testing/" },
  },
];

/** Folders of a module that hold a published system. */
function systemsOf(module) {
  const folder = join(__dirname, "src", module);
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => existsSync(join(folder, name, "reproduction.ts")));
}

for (const [level, modules] of layers.entries()) {
  for (const module of modules) {
    const lower = layers.slice(0, level).flat();
    const allowed = [...lower, module].join("|");
    // The top modules are thin: `cli` starts the server, runs reproductions and reads the catalogue, which
    // reads records.
    const extra =
      {
        cli: "|^src/(serve|reproduce|catalogue)/|^src/systems\\.ts$",
        catalogue: "|^src/reproduce/|^src/systems\\.ts$",
      }[module] ?? "";
    forbidden.push({
      name: `layer-${level}-${module}`,
      severity: "error",
      from: { path: `^src/${module}/`, pathNot: free },
      to: { path: "^src/", pathNot: `^src/(${allowed})/${extra}` },
    });
    const systems = systemsOf(module);
    for (const system of systems) {
      const others = systems.filter((other) => other !== system).join("|");
      if (others === "") continue;
      forbidden.push({
        name: `${module}-${system}-stays-apart`,
        severity: "error",
        from: { path: `^src/${module}/${system}/`, pathNot: free },
        to: { path: `^src/${module}/(${others})/` },
      });
    }
  }
}
module.exports = {
  forbidden,
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "types", "default"],
    },
  },
};
