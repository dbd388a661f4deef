/** Assignments to names, to fields of namespaces and to several targets at once. */

import type { Frame } from "./frame.ts";
import { Namespace } from "./python/containers/dict.ts";
import { unpack } from "./python/containers/sequence.ts";
import { failure } from "./python/failure.ts";
import type { Value } from "./python/values.ts";
import type { Target } from "./syntax.ts";

/** Assigns a value in the frame's scope. */
export type Assignment = (frame: Frame, value: Value) => void;

export function compileTarget(target: Target): Assignment {
  switch (target.kind) {
    case "name": {
      const { name } = target;
      return (frame, value) => frame.scope.set(name, value);
    }
    case "field": {
      const { object, field } = target;
      return (frame, value) => {
        const namespace = frame.scope.get(object);
        if (!(namespace instanceof Namespace)) {
          throw failure("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
        }
        namespace.entries.set(field, value);
      };
    }
    case "targets": {
      const items = target.items.map(compileTarget);
      return (frame, value) => {
        const values = unpack(value, items.length);
        for (const [index, assign] of items.entries()) assign(frame, values[index]!);
      };
    }
  }
}
