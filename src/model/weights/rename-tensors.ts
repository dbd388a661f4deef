/** The tensors of a checkpoint by the names that a model has for them. */
import type { Checkpoint } from "../../checkpoint/index.ts";

/**
 * A checkpoint's tensors by other names.
 *
 * @param own the stored name by the new one; tensors that it leaves out are left out
 */
export function renameTensors(
  checkpoint: Checkpoint,
  own: ReadonlyMap<string, string>,
): Checkpoint {
  const tensors = new Map(
    Array.from(own, ([name, stored]) => [name, { ...checkpoint.tensors.get(stored)!, name }]),
  );
  const storedAs = (name: string): string => own.get(name) ?? name;
  return {
    ...checkpoint,
    tensors,
    read: (name, options) => checkpoint.read(storedAs(name), options),
    readFloat32: (name, options) => checkpoint.readFloat32(storedAs(name), options),
    readRows: (name, start, count) => checkpoint.readRows(storedAs(name), start, count),
    readBytes: (name, length) => checkpoint.readBytes(storedAs(name), length),
  };
}
