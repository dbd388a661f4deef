/** The distribution of one token before and after each step of the sampler. */
import type { LensSampling, StagesEvent } from "jeton/lens";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { askOne, type Engine } from "../engine/engine.ts";
import { percent, visible } from "./token-colours.ts";

export interface StagesTableProps {
  readonly engine: Engine | undefined;
  /** The text before the place. */
  readonly ids: readonly number[];
  /** How many of them were generated. */
  readonly generated: number;
  readonly sampling: LensSampling;
  /** Whether the model is free: nothing is asked while it generates. */
  readonly ready: boolean;
}

export function StagesTable(props: StagesTableProps): JSX.Element | null {
  const { engine, ids, generated, sampling, ready } = props;
  const [event, setEvent] = useState<StagesEvent>();
  const [failure, setFailure] = useState<string>();
  const key = JSON.stringify([ids, generated, sampling]);
  useEffect(() => {
    if (!engine || !ready || ids.length === 0) return;
    const controller = new AbortController();
    const { seed: _, ...options } = sampling;
    const request = { kind: "stages", prompt: ids, generated, sampling: options } as const;
    askOne(engine, request, controller.signal).then(
      (found) => {
        setEvent(found);
        setFailure(undefined);
      },
      (error: Error) => !controller.signal.aborted && setFailure(error.message),
    );
    return () => controller.abort();
  }, [engine, ready, key]);
  if (failure !== undefined) return <p class="note">{failure}</p>;
  if (!event) return null;
  return <Stages event={event} />;
}

function Stages({ event: { tokens, stages } }: { readonly event: StagesEvent }): JSX.Element {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls where the table is wider than the screen
    <div class="scroll" tabIndex={0} role="region" aria-label="Distribution through the sampler">
      <table class="stages">
        <caption>
          The next token's distribution, through the sampler: what is left after each step
        </caption>
        <thead>
          <tr>
            <th scope="col">token</th>
            {stages.map(({ name, setting }) => (
              <th key={name} scope="col">
                {name} {setting}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {tokens.map(({ id, text }, row) => (
            <tr key={id}>
              <th scope="row">
                <code>{visible(text)}</code>
              </th>
              {stages.map(({ name, probabilities }) => (
                <td key={name} class={probabilities[row] === 0 ? "out" : undefined}>
                  <span class="bar" style={{ width: `${100 * probabilities[row]!}%` }} />
                  <span class="number">
                    {probabilities[row] === 0 ? "left out" : percent(probabilities[row]!)}
                  </span>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">tokens left</th>
            {stages.map(({ name, kept }) => (
              <td key={name}>{kept}</td>
            ))}
          </tr>
          <tr>
            <th scope="row">entropy, bits</th>
            {stages.map(({ name, entropy }) => (
              <td key={name}>{(entropy / Math.LN2).toFixed(2)}</td>
            ))}
          </tr>
        </tfoot>
      </table>
    </div>
  );
}
