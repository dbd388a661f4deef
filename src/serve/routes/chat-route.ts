/**
 * `POST /v1/chat/completions`: continues a conversation, rendered by the model's own template.
 */
import { answerGeneration } from "../answers/answer.ts";
import { ChatChoice } from "../answers/chat-choice.ts";
import { ChunkWriter } from "../answers/chunk-writer.ts";
import { planSequences } from "../answers/plan-sequences.ts";
import { writePromptLogProbabilities } from "../answers/prompt-log-probabilities.ts";
import { checkModelName, logWarnings, type ServeContext, type ServeRequest } from "../context.ts";
import { readChatRequest } from "../requests/chat-request.ts";
import { readJson } from "../requests/json-body.ts";
import { renderPrompt } from "./chat-prompt.ts";

/** Answers one chat request. */
export async function answerChat(context: ServeContext, request: ServeRequest): Promise<Response> {
  const { body, warnings } = readChatRequest(await readJson(context, request));
  checkModelName(context, body.model);
  const prompt = renderPrompt(context, body, "messages");
  const planned = planSequences(context, [prompt.ids], body, {
    choices: body.n,
    maxTokens: body.max_completion_tokens ?? body.max_tokens,
    defaultMaxTokens: Infinity,
    maxTokensParameter: body.max_completion_tokens == null ? "max_tokens" : "max_completion_tokens",
    promptParameter: "messages",
    topLogProbabilities: body.top_logprobs ?? 0,
    promptAlternatives: body.prompt_logprobs ?? undefined,
  });
  const allWarnings = [...warnings, ...prompt.warnings, ...planned.warnings];
  logWarnings(context, request, allWarnings);
  const writer = new ChunkWriter({
    context,
    plans: planned.plans,
    warnings: allWarnings,
    streamOptions: body.stream_options,
    idPrefix: "chatcmpl-",
    wholeObject: "chat.completion",
    chunkObject: "chat.completion.chunk",
    writeChoice: (plan) => new ChatChoice(context, plan.index, body.logprobs === true),
    writeWhole: ([outcome]) =>
      outcome?.scores === undefined
        ? {}
        : { prompt_logprobs: writePromptLogProbabilities(outcome.scores, context.describeToken) },
  });
  const options = { stream: body.stream === true, drafter: body.drafter };
  return answerGeneration(context, request, planned.plans, writer, options);
}
