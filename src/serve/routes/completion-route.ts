/**
 * `POST /v1/completions`: continues text or token ids.
 */

import { findFillPrompt } from "../../generate/bytes/fill-prompt.ts";
import { answerGeneration } from "../answers/answer.ts";
import { ChunkWriter } from "../answers/chunk-writer.ts";
import { CompletionChoice } from "../answers/completion-choice.ts";
import { planSequences } from "../answers/plan-sequences.ts";
import { offsetsOfPrompt } from "../answers/text-offsets.ts";
import { checkModelName, logWarnings, type ServeContext, type ServeRequest } from "../context.ts";
import { invalidValue, unsupportedParameter } from "../middleware/errors.ts";
import {
  type CompletionRequest,
  defaultMaxTokens,
  readCompletionRequest,
} from "../requests/completion-request.ts";
import { readJson } from "../requests/json-body.ts";

/** Answers one completion request. */
export async function answerCompletion(
  context: ServeContext,
  request: ServeRequest,
): Promise<Response> {
  const { body, warnings } = readCompletionRequest(await readJson(context, request));
  checkModelName(context, body.model);
  const prompts = listPrompts(body.prompt).map((prompt) => readPrompt(context, prompt, body));
  const isEchoScored = body.echo === true && body.logprobs != null;
  const promptAlternatives =
    isEchoScored || body.prompt_logprobs != null
      ? Math.max(isEchoScored ? (body.logprobs ?? 0) : 0, body.prompt_logprobs ?? 0)
      : undefined;
  const planned = planSequences(
    context,
    prompts.map((prompt) => prompt.ids),
    body,
    {
      choices: body.n,
      maxTokens: body.max_tokens,
      defaultMaxTokens,
      maxTokensParameter: "max_tokens",
      promptParameter: "prompt",
      topLogProbabilities: body.logprobs ?? 0,
      promptAlternatives,
    },
  );
  const { plans } = planned;
  const allWarnings = [...warnings, ...planned.warnings];
  logWarnings(context, request, allWarnings);
  const writer = new ChunkWriter({
    context,
    plans,
    warnings: allWarnings,
    streamOptions: body.stream_options,
    idPrefix: "cmpl-",
    wholeObject: "text_completion",
    chunkObject: "text_completion",
    writeChoice: (plan) => {
      const prompt = prompts[plan.promptNumber]!;
      return new CompletionChoice({
        context,
        plan,
        echo: body.echo === true ? prompt.text() : "",
        promptOffsets: isEchoScored ? prompt.offsets : undefined,
        alternatives: body.logprobs ?? undefined,
        withPromptLogProbabilities: body.prompt_logprobs != null,
      });
    },
  });
  const options = { stream: body.stream === true, drafter: body.drafter };
  return answerGeneration(context, request, plans, writer, options);
}

interface ReadPrompt {
  readonly ids: Int32Array;
  /** The prompt as text, for `echo`. */
  readonly text: () => string;
  /** Where its tokens begin in that text, in code points. */
  readonly offsets: () => readonly number[];
}

function listPrompts(prompt: CompletionRequest["prompt"]): (string | number[])[] {
  if (typeof prompt === "string") return [prompt];
  if (typeof prompt[0] === "number") return [prompt as number[]];
  return prompt as (string | number[])[];
}

function readPrompt(
  context: ServeContext,
  prompt: string | readonly number[],
  body: CompletionRequest,
): ReadPrompt {
  const { model, describeToken } = context;
  const { tokenizer } = model;
  const addSpecialTokens = body.add_special_tokens ?? true;
  const read = (ids: Int32Array, source: string | undefined): ReadPrompt => ({
    ids,
    text: () => source ?? tokenizer.decode(ids),
    offsets: () => offsetsOfPrompt({ ids, source }, { tokenizer, describeToken, addSpecialTokens }),
  });
  if (body.suffix != null && body.suffix !== "") {
    return read(fillGap(context, prompt, body.suffix), undefined);
  }
  if (typeof prompt !== "string") {
    const wrong = prompt.find((id) => id >= tokenizer.vocabSize);
    if (wrong === undefined) return read(Int32Array.from(prompt), undefined);
    throw invalidValue(
      "prompt",
      `Invalid token id in 'prompt': ${wrong}; the vocabulary has ${tokenizer.vocabSize} tokens.`,
    );
  }
  const { bosTokenId } = model;
  // The empty text is the BOS token alone.
  if (prompt === "" && bosTokenId !== undefined) return read(Int32Array.of(bosTokenId), undefined);
  const ids = tokenizer.encodeIds(prompt, { addSpecialTokens, applyLimits: false });
  if (ids.length > 0) return read(ids, prompt);
  throw invalidValue("prompt", "'prompt' is empty, and the model has no BOS token.");
}

/** The ids that ask for the text between a prompt and a suffix. */
function fillGap(
  { model }: ServeContext,
  prompt: string | readonly number[],
  suffix: string,
): Int32Array {
  const fill = findFillPrompt(model.tokenizer);
  if (fill === undefined) {
    throw unsupportedParameter(
      "suffix",
      "'suffix' is not supported: the model has no fill-in-the-middle tokens.",
    );
  }
  if (typeof prompt === "string") return fill(prompt, suffix);
  throw invalidValue("suffix", "'suffix' needs a 'prompt' that is text.");
}
