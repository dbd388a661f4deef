/** ZeTT: a hypernetwork predicts the rows of a tokenizer that the model has never seen. */
export { cutBySampledTokenizers } from "./cut-texts.ts";
export {
  cutMostProbably,
  type SampledTokenizer,
  SubstringQueue,
  type SubstringQueueOptions,
  sampleTokenizer,
} from "./sample-tokenizers.ts";
export { type TrainHypernetworkOptions, trainHypernetwork } from "./train-hypernetwork.ts";
export { type ZettOptions, zett } from "./zett.ts";
