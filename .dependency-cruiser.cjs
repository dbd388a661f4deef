/**
 * Keeps the floors of the house: a room imports only from rooms on a lower floor (or, on the same
 * floor, from nobody), there are no circles, and no system imports another system's folder.
 * Tests, `reproduction.ts` files and their parts (`reproduction-*.ts`) may import any room.
 */
const floors = [
  ["core"],
  ["tensor", "tokenizer", "checkpoint"],
  ["model"],
  ["generate", "train"],
  ["vocabulary", "context", "retrieve", "match", "extract", "prompt", "code", "image", "curate"],
  ["evaluate"],
  ["cli", "serve", "reproduce"],
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
    from: { pathNot: "^src/systems\\.ts$|\\.test\\.ts$|/reproduction[a-z-]*\\.ts$" },
    to: { path: "/reproduction[a-z-]*\\.ts$" },
  },
];
for (const [level, rooms] of floors.entries()) {
  for (const room of rooms) {
    const lower = floors.slice(0, level).flat();
    const allowed = [...lower, room].join("|");
    // The top rooms are thin: `cli` starts the server, runs reproductions and reads the catalogue.
    const extra = room === "cli" ? "|^src/(serve|reproduce)/|^src/systems\\.ts$" : "";
    forbidden.push({
      name: `floor-${level}-${room}`,
      severity: "error",
      from: { path: `^src/${room}/`, pathNot: free },
      to: { path: "^src/", pathNot: `^src/(${allowed})/${extra}` },
    });
    if (level >= 1) {
      forbidden.push({
        name: `systems-of-${room}-stay-apart`,
        severity: "error",
        from: { path: `^src/${room}/([^/]+)/`, pathNot: free },
        to: { path: `^src/${room}/([^/]+)/`, pathNot: `^src/${room}/$1/` },
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
