/** A needle in a haystack that the model is asked for. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { callTool } from "../engine/tools.ts";
import { EngineActions } from "./engine-actions.tsx";
import { RangeField } from "./parts.tsx";
import { useEngine } from "./use-engine.ts";

interface Asked {
  readonly prompt: string;
  readonly key: string;
  readonly value: string;
  readonly answer: string;
  readonly accuracy: number;
}

export function NeedleDemonstration(): JSX.Element {
  const [pairs, setPairs] = useState(16);
  const [depth, setDepth] = useState(50);
  const [seed, setSeed] = useState(0);
  const [asked, setAsked] = useState<Asked>();
  const task = useEngine();
  const start = (): void =>
    task.start(async (engine, signal) => {
      const { prompt, keys, values } = await callTool("makeNeedle", { pairs, depth, seed });
      let answer = "";
      const request = {
        kind: "generate",
        prompt,
        maxTokens: 12,
        sampling: { greedy: true },
      } as const;
      for await (const event of engine.ask<"generate">(request, signal)) {
        if (event.kind === "token" && !event.token.special) answer += event.token.text;
      }
      const { accuracy } = await callTool("scoreNeedle", { answer, keys, values });
      setAsked({ prompt, key: keys[0]!, value: values[0]!, answer, accuracy });
    });
  return (
    <>
      <RangeField label="pairs" value={pairs} min={4} max={80} onChange={setPairs} />
      <RangeField label="depth, %" value={depth} min={0} max={100} onChange={setDepth} />
      <RangeField label="seed" value={seed} min={0} max={50} onChange={setSeed} />
      <EngineActions task={task} label="Ask for the needle" onStart={start} />
      {asked && <Answer asked={asked} />}
      <p class="note">
        The haystack is a table of short codes, which a small model can read; the paper's has UUIDs
        in JSON. Numbers of the two are not comparable.
      </p>
    </>
  );
}

function Answer({
  asked: { prompt, key, value, answer, accuracy },
}: {
  readonly asked: Asked;
}): JSX.Element {
  const line = prompt.split("\n").find((text) => text.includes(key) && text.includes(value)) ?? "";
  const [before, after] = prompt.split(line, 2);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    // The answer stands at the end.
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [prompt, answer]);
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <pre class="haystack" ref={box} tabIndex={0} role="region" aria-label="Haystack, question">
        {before}
        {line !== "" && <mark>{line}</mark>}
        {after}
        <b class={accuracy === 1 ? "reproduced" : "notReproduced"}>{answer}</b>
      </pre>
      <p role="status">
        Asked for {key}, wanted {value}: {accuracy === 1 ? "found" : "not found"}. The model wrote{" "}
        <code>{answer.trim()}</code>.
      </p>
    </>
  );
}
