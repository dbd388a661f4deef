// Draws docs/images/drafted-text.svg: the bundled model's greedy text, token by token, with the probability of each
// token and, where a draft token was accepted, its depth. `npm run build && node scripts/draw-drafted-text.mjs`.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { generate, loadModel } from "../dist/index.js";

const target = fileURLToPath(new URL("../docs/images/drafted-text.svg", import.meta.url));
const prompt = "The emperor";
const drafter = "token-recycling";
const maxTokens = 56;

const model = await loadModel(undefined, { format: "f32" });
const tokens = [];
const stream = generate(model, prompt, { greedy: true, maxTokens, drafter });
let next = await stream.next();
for (; !next.done; next = await stream.next()) tokens.push(next.value);
const { drafting } = next.value;
await model.close();

const width = 880;
const margin = 24;
const charWidth = 8.4;
const lineHeight = 46;
const colours = {
  prompt: "#ffffff",
  decoded: "#e7e9ee",
  accepted: ["#bfe8cd", "#8fd6ab", "#5fc48a"],
};

/** Fill of a token's box. */
const fillOf = ({ origin }) => {
  if (origin === undefined) return colours.prompt;
  if (origin.kind === "decoded") return colours.decoded;
  return colours.accepted[Math.min(origin.depth, colours.accepted.length) - 1];
};
const escapeXml = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

const boxes = [];
let x = margin;
let y = 84;
for (const token of [{ text: prompt }, ...tokens]) {
  const shown = token.text.replaceAll("\n", "↵").replaceAll(" ", "\u00a0");
  const boxWidth = Math.max(shown.length * charWidth + 6, 30);
  if (x + boxWidth > width - margin) {
    x = margin;
    y += lineHeight;
  }
  const middle = x + boxWidth / 2;
  const note =
    token.logProbability === undefined
      ? ""
      : `${Math.round(Math.exp(token.logProbability) * 100)} %`;
  boxes.push(
    `<rect x="${x.toFixed(1)}" y="${y}" width="${boxWidth.toFixed(1)}" height="24" rx="4" fill="${fillOf(token)}" stroke="#c3c8d2"/>`,
    `<text class="token" x="${middle.toFixed(1)}" y="${y + 17}" textLength="${(shown.length * charWidth).toFixed(1)}">${escapeXml(shown)}</text>`,
    `<text class="note" x="${middle.toFixed(1)}" y="${y + 36}">${note}</text>`,
  );
  x += boxWidth + 3;
}

const legend = [
  ["prompt", colours.prompt],
  ["decoded by the model", colours.decoded],
  ["accepted draft token, depth 1", colours.accepted[0]],
  ["depth 2", colours.accepted[1]],
  ["depth 3 or more", colours.accepted[2]],
];
let legendX = margin;
const legendY = y + 58;
const legendParts = legend.map(([text, fill]) => {
  const part =
    `<rect x="${legendX}" y="${legendY}" width="14" height="14" rx="3" fill="${fill}" stroke="#c3c8d2"/>` +
    `<text class="legend" x="${legendX + 20}" y="${legendY + 12}">${text}</text>`;
  legendX += 40 + text.length * 7;
  return part;
});
const height = legendY + 36;
const summary =
  `${drafting.tokens} tokens in ${drafting.forwardPasses} forward passes; ` +
  `mean acceptance length ${drafting.meanAcceptanceLength.toFixed(2)}`;

const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(summary)}">
<style>
text { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1c2330; }
.command, .token { font-size: 14px; }
.token, .note { text-anchor: middle; }
.note { font-size: 9px; fill: #667085; }
.summary { font-size: 12px; fill: #475467; }
.legend { font-family: system-ui, "DejaVu Sans", sans-serif; font-size: 12px; }
</style>
<rect width="${width}" height="${height}" rx="10" fill="#fbfcfe" stroke="#d8dce4"/>
<text class="command" x="${margin}" y="36">$ jeton run --raw --greedy --drafter ${drafter} --show-drafts "${prompt}"</text>
<text class="summary" x="${margin}" y="60">${summary}</text>
${boxes.join("\n")}
${legendParts.join("\n")}
</svg>
`;
mkdirSync(new URL(".", `file://${target}`), { recursive: true });
writeFileSync(target, svg);
console.log(`${target}: ${summary}`);
