// Text as it comes, with the log-probability and the origin of each token.
import { generate, loadModel } from "jeton";

const model = await loadModel();
const stream = generate(model, "The emperor", {
  greedy: true,
  maxTokens: 24,
  drafter: "auto",
});
for (let next = await stream.next(); ; next = await stream.next()) {
  if (next.done) {
    console.log(`\n${next.value.finishReason} after ${next.value.ids.length} tokens`);
    break;
  }
  const { text, logProbability, origin } = next.value;
  const how = origin.kind === "accepted" ? `${origin.drafter}, depth ${origin.depth}` : "decoded";
  console.log(
    `${JSON.stringify(text).padEnd(16)} ${logProbability.toFixed(3).padStart(8)}  ${how}`,
  );
}
await model.close();
