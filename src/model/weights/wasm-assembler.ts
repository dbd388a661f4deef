/**
 * Writes WebAssembly modules: as much of the binary format as a few kernels need.
 *
 * Code is an expression tree of byte arrays: every helper returns the bytes that leave one value on the
 * stack (or none, for statements), so that operands nest as calls do. Sections and opcodes follow the
 * WebAssembly core specification 2.0.
 */

/** Instructions as bytes. */
export type Code = readonly number[];

export type ValueType = "i32" | "f32" | "f64" | "v128";

/** Types of values as the binary format numbers them. */
const valueTypes: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** Opcodes that take all their operands from the stack; those of vectors follow the prefix 0xfd. */
const opcodes: Readonly<Record<string, Code>> = {
  "i32.lt_u": [0x49],
  "i32.ge_u": [0x4f],
  "i32.ctz": [0x68],
  "i32.add": [0x6a],
  "i32.mul": [0x6c],
  "i32.and": [0x71],
  "i32.or": [0x72],
  "i32.shl": [0x74],
  "i32.trunc_sat_f32_u": [0xfc, 1],
  "f32.eq": [0x5b],
  "f32.gt": [0x5e],
  "f32.floor": [0x8e],
  "f32.add": [0x92],
  "f32.sub": [0x93],
  "f32.mul": [0x94],
  "f32.div": [0x95],
  "f32.min": [0x96],
  "f32.max": [0x97],
  "f64.div": [0xa3],
  "f64.promote_f32": [0xbb],
  "i32x4.splat": [0xfd, 0x11],
  "f32x4.splat": [0xfd, 0x13],
  "f64x2.splat": [0xfd, 0x14],
  "i32x4.gt_s": [0xfd, 0x3b],
  "f32x4.eq": [0xfd, 0x41],
  "f64x2.eq": [0xfd, 0x47],
  "v128.and": [0xfd, 0x4e],
  "v128.or": [0xfd, 0x50],
  "f64x2.promote_low_f32x4": [0xfd, 0x5f],
  "i8x16.narrow_i16x8_s": [0xfd, 0x65],
  "i8x16.narrow_i16x8_u": [0xfd, 0x66],
  "f32x4.floor": [0xfd, 0x68],
  "i16x8.narrow_i32x4_s": [0xfd, 0x85, 0x01],
  "i16x8.shr_u": [0xfd, 0x8d, 0x01],
  "i16x8.max_s": [0xfd, 0x98, 0x01],
  "i32x4.bitmask": [0xfd, 0xa4, 0x01],
  "i32x4.extend_low_i16x8_u": [0xfd, 0xa9, 0x01],
  "i32x4.extend_high_i16x8_u": [0xfd, 0xaa, 0x01],
  "i32x4.shl": [0xfd, 0xab, 0x01],
  "i32x4.add": [0xfd, 0xae, 0x01],
  "i32x4.sub": [0xfd, 0xb1, 0x01],
  "f32x4.abs": [0xfd, 0xe0, 0x01],
  "f32x4.add": [0xfd, 0xe4, 0x01],
  "f32x4.sub": [0xfd, 0xe5, 0x01],
  "f32x4.mul": [0xfd, 0xe6, 0x01],
  "f32x4.pmin": [0xfd, 0xea, 0x01],
  "f32x4.pmax": [0xfd, 0xeb, 0x01],
  "f64x2.nearest": [0xfd, 0x94, 0x01],
  "f64x2.add": [0xfd, 0xf0, 0x01],
  "f64x2.sub": [0xfd, 0xf1, 0x01],
  "f64x2.mul": [0xfd, 0xf2, 0x01],
};

/** An instruction, by its name in the specification, with its operands. */
export function op(name: string, ...operands: readonly Code[]): Code {
  const code = opcodes[name];
  if (!code) throw new TypeError(`no opcode is known for ${name}`);
  return [...operands.flat(), ...code];
}

function unsigned(value: number): Code {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  bytes.push(value);
  return bytes;
}

function signed(value: number): Code {
  const bytes: number[] = [];
  for (;;) {
    const low = value & 0x7f;
    value >>= 7;
    if ((value === 0 && (low & 0x40) === 0) || (value === -1 && (low & 0x40) !== 0)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 0x80);
  }
}

/** A 32-bit integer. */
export const i32 = (value: number): Code => [0x41, ...signed(value | 0)];
/** A single-precision number. */
export const f32 = (value: number): Code => [
  0x43,
  ...new Uint8Array(Float32Array.of(value).buffer),
];
/** A double-precision number. */
export const f64 = (value: number): Code => [
  0x44,
  ...new Uint8Array(Float64Array.of(value).buffer),
];

/** Loads from `address + offset`; addresses need no alignment. */
export const load = {
  v128: (address: Code, offset = 0): Code => [...address, 0xfd, 0, 0, ...unsigned(offset)],
  f32: (address: Code, offset = 0): Code => [...address, 0x2a, 0, ...unsigned(offset)],
  i32u8: (address: Code, offset = 0): Code => [...address, 0x2d, 0, ...unsigned(offset)],
};

/** Stores to `address + offset`. */
export const store = {
  v128: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0xfd,
    0x0b,
    0,
    ...unsigned(offset),
  ],
  f32: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x38,
    0,
    ...unsigned(offset),
  ],
  i32u8: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x3a,
    0,
    ...unsigned(offset),
  ],
};

/** Sixteen bytes picked from the 32 of two vectors. */
export const shuffle = (a: Code, b: Code, lanes: readonly number[]): Code => [
  ...a,
  ...b,
  0xfd,
  0x0d,
  ...lanes,
];

/** One lane of a vector of four numbers. */
export const lane = {
  f32: (vector: Code, index: number): Code => [...vector, 0xfd, 0x1f, index],
};

/** `test ? whenTrue : whenFalse`, both evaluated. */
export const select = (whenTrue: Code, whenFalse: Code, test: Code): Code => [
  ...whenTrue,
  ...whenFalse,
  ...test,
  0x1b,
];

/** Statements that run while `test` holds, which is asked at the end of each turn. */
export const repeatWhile = (test: Code, ...body: readonly Code[]): Code => [
  0x03,
  0x40,
  ...body.flat(),
  ...test,
  0x0d,
  0,
  0x0b,
];

/** Statements that run once if `test` holds. */
export const when = (test: Code, ...body: readonly Code[]): Code => [
  ...test,
  0x04,
  0x40,
  ...body.flat(),
  0x0b,
];

/** Statements that `leave` ends early. */
export const block = (...body: readonly Code[]): Code => [0x02, 0x40, ...body.flat(), 0x0b];
/** Leaves the innermost `block` if `test` holds. */
export const leaveIf = (test: Code): Code => [...test, 0x0d, 0];

/** A local variable or a parameter. */
export interface Local {
  readonly index: number;
  readonly type: ValueType;
  readonly get: Code;
  set(value: Code): Code;
}

/** Calls a function of the module by its place in the list. */
export const call = (index: number, ...operands: readonly Code[]): Code => [
  ...operands.flat(),
  0x10,
  ...unsigned(index),
];

/** A mutable global of type f32, by its place in the list. */
export const global = {
  get: (index: number): Code => [0x23, ...unsigned(index)],
  set: (index: number, value: Code): Code => [...value, 0x24, ...unsigned(index)],
};

/** A function of a module. */
export interface WasmFunction {
  /** Name of the export; without one the function is internal. */
  readonly name?: string;
  readonly parameters: readonly ValueType[];
  readonly result?: ValueType;
  /** The body; `local` declares variables. */
  readonly body: (parameters: readonly Local[], local: (type: ValueType) => Local) => Code;
}

function variable(index: number, type: ValueType): Local {
  const place = unsigned(index);
  return {
    index,
    type,
    get: [0x20, ...place],
    set: (value) => [...value, 0x21, ...place],
  };
}

const section = (id: number, items: readonly Code[]): Code => {
  const content = [...unsigned(items.length), ...items.flat()];
  return [id, ...unsigned(content.length), ...content];
};

const text = (value: string): Code => {
  const bytes = new TextEncoder().encode(value);
  return [...unsigned(bytes.length), ...bytes];
};

function encodeBody({ parameters, body }: WasmFunction): Code {
  const variables = parameters.map((type, index) => variable(index, type));
  const declared: ValueType[] = [];
  const local = (type: ValueType): Local => {
    declared.push(type);
    return variable(parameters.length + declared.length - 1, type);
  };
  const code = body(variables, local);
  const content = [
    ...unsigned(declared.length),
    ...declared.flatMap((type) => [1, valueTypes[type]]),
    ...code,
    0x0b,
  ];
  return [...unsigned(content.length), ...content];
}

/**
 * The bytes of a module with these functions over an imported memory, `env.memory`.
 *
 * @param globals how many mutable globals of type f32 the functions share
 */
export function assembleModule(functions: readonly WasmFunction[], globals = 0): Uint8Array {
  const types = functions.map(({ parameters, result }) => [
    0x60,
    ...unsigned(parameters.length),
    ...parameters.map((type) => valueTypes[type]),
    ...(result ? [1, valueTypes[result]] : [0]),
  ]);
  const memory = [...text("env"), ...text("memory"), 2, 0, 0];
  const exported = functions.flatMap(({ name }, index) =>
    name === undefined ? [] : [[...text(name), 0, ...unsigned(index)]],
  );
  const zero = [valueTypes.f32, 1, ...f32(0), 0x0b];
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(2, [memory]),
    ...section(
      3,
      functions.map((_, index) => unsigned(index)),
    ),
    ...section(
      6,
      Array.from({ length: globals }, () => zero),
    ),
    ...section(7, exported),
    ...section(10, functions.map(encodeBody)),
  ]);
}
