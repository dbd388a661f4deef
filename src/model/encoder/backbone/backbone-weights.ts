/** The weights of a decoder that is an encoder's backbone: all but its head. */
import type { DecoderConfig } from "../../decoder/config.ts";
import { decoderNames } from "../../decoder/decoder-names.ts";
import { splitParameterShapes } from "../../decoder/parameter-shapes.ts";

/** Shapes of the parameters that it reads: all of a decoder's but its head. */
export function backboneParameterShapes(backbone: DecoderConfig): Map<string, number[]> {
  const shapes = splitParameterShapes(backbone);
  for (const name of [decoderNames.head, decoderNames.headBias]) shapes.delete(name);
  return shapes;
}
