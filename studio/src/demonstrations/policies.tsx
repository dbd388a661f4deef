/** A context policy on one's own prompt: what it keeps, and the text beside that of full attention. */
import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { callTool } from "../engine/tools.ts";
import { CacheView, type KeptLayer, KeptText, keptPlaces } from "../lens/kept-tokens.tsx";
import { type Continuation, continuePrompt } from "./continue-prompt.ts";
import { EngineActions } from "./engine-actions.tsx";
import { DataTable, RangeField, TextField } from "./parts.tsx";
import { type PolicyName, policySettings } from "./policy-settings.ts";
import { useEngine } from "./use-engine.ts";

const maxTokens = 16;
/** A needle in a table of codes: the bundled model answers it, if it sees the needle's line. */
const needle = { pairs: 24, depth: 40, seed: 2 } as const;

/** The demonstration of a policy. */
export function policyOf(name: PolicyName): ComponentType {
  return () => <PolicyDemonstration name={name} />;
}

function PolicyDemonstration({ name }: { readonly name: PolicyName }): JSX.Element {
  const { controls, write } = policySettings[name];
  const [prompt, setPrompt] = useState("");
  const [values, setValues] = useState<Readonly<Record<string, number>>>(() =>
    Object.fromEntries(controls.map((control) => [control.name, control.value])),
  );
  const [found, setFound] = useState<readonly Continuation[]>([]);
  const task = useEngine();
  useEffect(() => {
    // A text that was typed meanwhile stays.
    callTool("makeNeedle", needle).then(
      (made) => setPrompt((typed) => typed || made.prompt),
      () => undefined,
    );
  }, []);
  const policy = write(values);
  const start = (): void => {
    setFound([]);
    task.start(async (engine, signal) => {
      const kept = await continuePrompt(engine, { prompt, policy, maxTokens }, signal);
      setFound([kept]);
      const all = { prompt, policy: "full", maxTokens };
      const full = await continuePrompt(engine, all, signal);
      setFound([kept, full]);
    });
  };
  return (
    <>
      <TextField label="Prompt" rows={7} value={prompt} onChange={setPrompt} />
      {controls.map((control) => (
        <RangeField
          key={control.name}
          {...control}
          value={values[control.name]!}
          onChange={(value) => setValues({ ...values, [control.name]: value })}
        />
      ))}
      <EngineActions task={task} label="Read and continue" onStart={start} />
      {found[0] && <KeptPrompt continuation={found[0]} />}
      {found.length > 0 && <Continuations found={found} />}
      <p class="note">
        Greedy decoding. The prompt to begin with is a table of codes with a question at its end: it
        is answered where the line of the asked code is kept. On a command line:{" "}
        <code>npx jeton run --context-policy {policy} --show-context PROMPT</code>
      </p>
    </>
  );
}

function KeptPrompt({ continuation }: { readonly continuation: Continuation }): JSX.Element {
  const [layer, setLayer] = useState<KeptLayer>("any");
  const { prompt, end } = continuation;
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls */}
      <pre class="haystack" tabIndex={0} role="region" aria-label="Prompt with its kept tokens">
        <KeptText tokens={prompt} context={end.context} layer={layer} />
      </pre>
      {end.context && (
        <CacheView
          context={end.context}
          promptTokens={end.promptTokens}
          layer={layer}
          onChoose={setLayer}
        />
      )}
    </>
  );
}

function Continuations({ found }: { readonly found: readonly Continuation[] }): JSX.Element {
  return (
    <DataTable
      caption="What the model writes"
      head={["context", "continuation", "tokens kept", "of"]}
      rows={found.map(({ policy, text, end }) => [
        policy === "full" ? "full attention" : policy,
        <code>{text}</code>,
        (end.context && keptPlaces(end.context, "any")?.length) ?? end.promptTokens,
        end.promptTokens,
      ])}
    />
  );
}
