/** What a pass of DupMAE's pre-training hides of a text, under the bundled encoder's tokenizer. */
import { sampleDuplexMasks } from "jeton/train";
import { encoderTokenizer } from "./bundled-tokenizers.ts";
import type { Tools } from "./tool-types.ts";

/** Tokens of a text at most, as in the training of jeton-embed. */
const maxLength = 256;

/** Samples what is hidden from the encoder and from each row of the decoder. */
export async function hideWords(
  { text, masking, hiding, seed }: Tools["hideWords"][0],
  base: string,
): Promise<Tools["hideWords"][1]> {
  const encoder = await encoderTokenizer(base);
  const encoded = encoder.encode(text, { applyLimits: false, maxLength });
  const masks = sampleDuplexMasks(encoder, text, encoded, { masking, hiding, seed, pass: 0 });
  const { own, visible } = masks;
  const nameOf = (id: number): string => encoder.idToToken(id) ?? String(id);
  const numberOf = new Map(own.map((place, number) => [place, number]));
  const count = encoded.ids.length;
  const textOf = (place: number): string => text.slice(...encoded.offsets[place]!);
  return {
    tokens: own.map(textOf),
    read: own.map((place) => {
      const id = masks.ids[place]!;
      return id === encoded.ids[place] ? textOf(place) : nameOf(id);
    }),
    masked: masks.masked.map((place) => numberOf.get(place)!),
    visible: own.map((row) =>
      own.flatMap((place, number) => (visible![row * count + place] === 1 ? [number] : [])),
    ),
    bag: [...new Set(own.map((place) => nameOf(encoded.ids[place]!)))],
  };
}
