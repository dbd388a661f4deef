/** The place of a demonstration on a system's page. */
import type { ComponentType, JSX } from "preact";
import { useLoaded } from "../data.ts";
import { CopyBlock } from "../parts/copy-block.tsx";
import { Faces } from "../parts/faces.tsx";
import { Problem } from "../parts/states.tsx";
import { type Demonstration, demonstrations, type LiveDemonstration } from "./registry.ts";
import "../styles/demonstrations.css";
import "../styles/lens.css";

/** For systems that are newer than the page. */
const unwritten: Demonstration = {
  why: "No demonstration of it is written yet; the command below measures it.",
};

export function DemonstrationFrame({ slug }: { readonly slug: string }): JSX.Element {
  const demonstration = demonstrations[slug] ?? unwritten;
  return (
    <section class="demonstration" aria-labelledby="demonstration">
      <h2 id="demonstration">Try it</h2>
      {"why" in demonstration ? (
        <>
          <p>It cannot be tried on this page. {demonstration.why}</p>
          {demonstration.commands && (
            <CopyBlock label="Commands" text={demonstration.commands.join("\n")} />
          )}
        </>
      ) : (
        <Live slug={slug} demonstration={demonstration} />
      )}
    </section>
  );
}

function Live({
  slug,
  demonstration,
}: {
  readonly slug: string;
  readonly demonstration: LiveDemonstration;
}): JSX.Element {
  const loaded = useLoaded<{ readonly View: ComponentType }>(
    async () => ({ View: await demonstration.load() }),
    slug,
  );
  return (
    <>
      <p class="note">{demonstration.title}. Change the input; it is computed on your machine.</p>
      <Faces />
      {loaded.state === "there" ? (
        <loaded.value.View />
      ) : loaded.state === "failed" ? (
        <Problem message={loaded.message} />
      ) : (
        <p class="note">Loading …</p>
      )}
    </>
  );
}
