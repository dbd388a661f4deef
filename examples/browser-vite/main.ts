// Runs in the browser: fetches a checkpoint folder from the same server and writes text into the page.
import { fetchModel, generate } from "jeton/browser";

const model = await fetchModel("/model/");
for await (const { text } of generate(model, "The emperor", { greedy: true, maxTokens: 24 })) {
  document.body.append(text);
}
document.body.dataset["state"] = "done";
