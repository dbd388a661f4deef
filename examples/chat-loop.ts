// A chat that keeps its history: questions from standard input, one a line. Each prompt begins with the
// text of the last one, so the keys and values of earlier turns come from the KV cache.
//
//   npx tsx examples/chat-loop.ts path/to/chat-model
//
// A model with a chat template answers messages. One without (the bundled model) continues the lines.
import { createInterface } from "node:readline/promises";
import { type ChatMessage, complete, hasChatTemplate, loadModel } from "jeton";

const model = await loadModel(process.argv[2]);
const isChatModel = hasChatTemplate(model.tokenizer);
const messages: ChatMessage[] = [];
let transcript = "";
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") continue;
  messages.push({ role: "user", content: line });
  transcript += line;
  const { text, reusedTokens, promptTokens } = isChatModel
    ? await complete(model, messages, { drafter: "auto" })
    : await complete(model, transcript, { greedy: true, maxTokens: 24, stop: [".", "\n"] });
  console.log(text.trim());
  console.error(`(${reusedTokens} of ${promptTokens} prompt tokens from the cache)`);
  messages.push({ role: "assistant", content: text });
  transcript += `${text}. `;
}
await model.close();
