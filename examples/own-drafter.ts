// A drafter of your own: it proposes the token that followed the last occurrence of the present one.
// Verification keeps the text the same; `drafting` says what was accepted.
import { complete, type Drafter, loadModel } from "jeton";

const bigramDrafter: Drafter = {
  name: "bigram",
  candidates: 0,
  begin: () => ({
    propose({ ids, maxNodes, maxDepth }) {
      const drafts: number[] = [];
      let last = ids.at(-1)!;
      while (drafts.length < Math.min(4, maxNodes, maxDepth)) {
        const at = ids.lastIndexOf(last, ids.length - 2);
        if (at < 0) break;
        last = ids[at + 1]!;
        drafts.push(last);
      }
      return { ids: drafts, parents: drafts.map((_, index) => index - 1) };
    },
    observe() {},
    end() {},
  }),
  close() {},
};

const model = await loadModel();
const prompt = "function add(a: number, b: number) {\n  return a + b;\n}\n\nfunction";
const baseline = await complete(model, prompt, { greedy: true, maxTokens: 40 });
const drafted = await complete(model, prompt, {
  greedy: true,
  maxTokens: 40,
  drafter: bigramDrafter,
});
console.log(drafted.text);
console.log("same text:", drafted.text === baseline.text);
console.log("mean acceptance length:", drafted.drafting?.meanAcceptanceLength.toFixed(2));
await model.close();
