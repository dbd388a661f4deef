/**
 * The little of the protocol-buffer wire format that SentencePiece models need: the fields of one
 * message, in order.
 */
import { JetonError } from "../../core/error.ts";

/** A field: a number for variable-length and 32-bit values, bytes for everything with a length. */
export interface ProtobufField {
  readonly field: number;
  readonly value: number | Uint8Array;
  /** The 32 bits of a fixed value as a float. */
  readonly float?: number;
}

/** Reads the fields of a message. Throws `protobuf-malformed` with the position of the error. */
export function* readMessage(bytes: Uint8Array): Iterable<ProtobufField> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const malformed = (reason: string): JetonError =>
    new JetonError(`the protocol buffer is malformed at byte ${at}: ${reason}`, {
      code: "protobuf-malformed",
      details: { at, reason },
    });
  const readVarint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at];
      if (byte === undefined) throw malformed("it ends inside a number");
      at++;
      // Beyond 53 bits only the sign of a negative number is lost, which no field here needs.
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw malformed("a number has too many bytes");
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const field = Math.floor(tag / 8);
    if (field === 0) throw malformed("a field has the number 0");
    switch (tag % 8) {
      case 0:
        yield { field, value: readVarint() };
        break;
      case 1:
        if (at + 8 > bytes.length) throw malformed("it ends inside a 64-bit value");
        yield { field, value: bytes.subarray(at, at + 8) };
        at += 8;
        break;
      case 2: {
        const length = readVarint();
        if (length > bytes.length - at) throw malformed(`a field of ${length} bytes does not fit`);
        yield { field, value: bytes.subarray(at, at + length) };
        at += length;
        break;
      }
      case 5:
        if (at + 4 > bytes.length) throw malformed("it ends inside a 32-bit value");
        yield { field, value: view.getUint32(at, true), float: view.getFloat32(at, true) };
        at += 4;
        break;
      default:
        throw malformed(`wire type ${tag % 8} is not used`);
    }
  }
}
