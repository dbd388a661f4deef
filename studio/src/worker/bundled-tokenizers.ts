/** Tokenizers of the models that come with the page, by the address of the page. */
import { createTokenizer, type Tokenizer } from "jeton/tokenizer";
import { openOnce } from "./open-once.ts";

type FetchTokenizer = (base: string) => Promise<Tokenizer>;

function fetchOnce(model: string): FetchTokenizer {
  return openOnce(async (base) => {
    const response = await fetch(new URL(`models/${model}/tokenizer.json`, base));
    return createTokenizer(await response.json());
  });
}

/** The bundled decoder's. */
export const bundledTokenizer: FetchTokenizer = fetchOnce("jeton-nano");

/** The bundled encoder's. */
export const encoderTokenizer: FetchTokenizer = fetchOnce("jeton-embed");
