/** Starts the service of a loaded model, in a worker thread or on the calling one. */
import {
  type ParameterBinding,
  type Remote,
  type Service,
  startInline,
  startService,
} from "../../tensor/index.ts";

/** A module that makes a service. */
export interface ServiceModule {
  /** The module itself, for the calling thread. */
  readonly module: Readonly<Record<string, unknown>>;
  /** Its path below `src/model`, without extension, for a worker. */
  readonly path: string;
  /** Name of the exported function that makes the service. */
  readonly factory: string;
}

/** Starts the service; in a worker, packed weights in memory are the worker's alone. */
export function startModelService<T extends Service>(
  { module, path, factory }: ServiceModule,
  start: { readonly bindings: ReadonlyMap<string, ParameterBinding> },
  inline: boolean,
): Promise<Remote<T>> {
  if (inline) return startInline<T>(module, factory, start);
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  const transfer = [...start.bindings.values()].flatMap((binding) =>
    binding.kind === "data" ? [binding.data.buffer as ArrayBuffer] : [],
  );
  const url = new URL(`../${path}.${extension}`, import.meta.url);
  return startService<T>(url.href, factory, start, { transfer });
}
