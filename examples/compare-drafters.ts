// Mean acceptance length of every drafter on one prompt.
import { complete, loadModel } from "jeton";
import { drafterNames, openDrafter } from "jeton/generate";

const model = await loadModel();
const prompt = "one two three four five one two three four five one two";
for (const name of drafterNames) {
  const drafter = await openDrafter(name, model);
  const { drafting } = await complete(model, prompt, { greedy: true, maxTokens: 48, drafter });
  console.log(name.padEnd(16), drafting?.meanAcceptanceLength.toFixed(2));
  await drafter.close();
}
await model.close();
