// How many tokens a vocabulary spends on the same sentence in several languages.
//
//   npx tsx examples/tokenizer-audit.ts path/to/tokenizer.json
import { loadTokenizer } from "jeton";

const tokenizer = await loadTokenizer(process.argv[2]); // default: the bundled model's
const sentences = {
  English: "All human beings are born free and equal in dignity and rights.",
  German: "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
  Finnish: "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan.",
  Greek: "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
};
const base = tokenizer.countTokens(sentences.English);
for (const [language, text] of Object.entries(sentences)) {
  const count = tokenizer.countTokens(text);
  console.log(
    language.padEnd(8),
    String(count).padStart(4),
    "tokens,",
    (count / base).toFixed(2),
    "times English",
  );
}
