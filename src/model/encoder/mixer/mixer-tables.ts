/** Tables of the transforms that a Monarch Mixer convolves by, as inputs of its programs. */
import {
  chooseMonarchSizes,
  type MonarchTables,
  monarchTableTypes,
  monarchTableValues,
  type Tensor,
  type TensorType,
  type TensorValue,
} from "../../../tensor/index.ts";

const names: readonly (keyof MonarchTables)[] = ["outer", "inner", "scale"];

const inputName = (name: keyof MonarchTables): string => `monarch.${name}`;

/** Types of the tables by their inputs' names. */
export function mixerTableTypes(): Record<string, TensorType> {
  return Object.fromEntries(names.map((name) => [inputName(name), monarchTableTypes[name]]));
}

/** Values of these inputs for texts of up to `length` tokens. */
export function mixerTableValues(length: number): Record<string, TensorValue> {
  const sizes = chooseMonarchSizes(length);
  const { rows, columns } = sizes;
  const bins = rows + 1;
  const values = monarchTableValues(sizes);
  const shapes = {
    outer: [bins, 2, 2 * rows],
    inner: [bins, 2, columns, 2, columns],
    scale: [bins, 1, 1],
  };
  return Object.fromEntries(
    names.map((name) => [
      inputName(name),
      { dtype: "float32", shape: shapes[name], data: values[name] } as const,
    ]),
  );
}

/** The tables among a program's inputs. */
export function mixerTables(input: Readonly<Record<string, Tensor>>): MonarchTables {
  const [outer, inner, scale] = names.map((name) => input[inputName(name)]!);
  return { outer: outer!, inner: inner!, scale: scale! };
}
