/**
 * A text token by token, as plain data for a page: probabilities, alternatives, drafted and accepted tokens,
 * the sampler's steps. Runs in Node and in browsers.
 *
 * @module lens
 */
export { checkLensRequest } from "./check-request.ts";
export { createLensHost, type LensHost, type LensOptions } from "./lens-host.ts";
export { runLens } from "./run-lens.ts";
export type {
  BytesEvent,
  BytesRequest,
  DescribeRequest,
  EndEvent,
  GenerateRequest,
  LensAlternative,
  LensAnswers,
  LensDetail,
  LensEvent,
  LensPrompt,
  LensRequest,
  LensSampling,
  LensToken,
  ModelEvent,
  ReadRequest,
  RoutingEvent,
  RoutingRequest,
  SamplingStage,
  StagesEvent,
  StagesRequest,
  TextEvent,
  TokenEvent,
  TokenizeRequest,
} from "./types.ts";
