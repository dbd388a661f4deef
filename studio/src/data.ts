/** The catalogue's data, as the build writes it beside the page. */
import type { CatalogueEntry, CataloguePage } from "jeton/catalogue";
import { useEffect, useState } from "preact/hooks";

export type { CatalogueEntry, RecordedClaim } from "jeton/catalogue";

/** A system's page with its README's sections as HTML. */
export interface SystemPage extends Omit<CataloguePage, "sections"> {
  readonly sections: readonly { readonly title: string; readonly html: string }[];
}

/** A text to search in. */
export interface SearchText {
  readonly slug: string;
  readonly text: string;
}

/** Where the page came from: `jeton studio`, which has a model of its own, or a static site. */
export interface Place {
  readonly server: boolean;
  /** Whether the files of the runtime for WebGPU stand beside the page. */
  readonly webgpu?: boolean;
}

const asked = new Map<string, Promise<unknown>>();

/** Fetches a file of data once. */
function fetchData<T>(name: string, folder = "./data/"): Promise<T> {
  let pending = asked.get(name) as Promise<T> | undefined;
  if (!pending) {
    pending = fetch(`${folder}${name}`).then(async (response) => {
      if (!response.ok) throw new Error(`${name} was answered with status ${response.status}`);
      return (await response.json()) as T;
    });
    asked.set(name, pending);
    pending.catch(() => asked.delete(name));
  }
  return pending;
}

export const fetchCatalogue = (): Promise<readonly CatalogueEntry[]> => fetchData("catalogue.json");
export const fetchSystem = (slug: string): Promise<SystemPage> => fetchData(`systems/${slug}.json`);
export const fetchSearchTexts = (): Promise<readonly SearchText[]> => fetchData("search.json");
export const fetchPlace = (): Promise<Place> => fetchData("place.json");
export const fetchFeed = (): Promise<Feed> => fetchData("feed.json", "./");

/** The part of `feed.json` that the page shows. */
export interface Feed {
  readonly items: readonly {
    readonly id: string;
    readonly title: string;
    readonly url: string;
    readonly date_published: string;
  }[];
}

/** Address of a recorded plot. */
export const plotAddress = (slug: string): string => `./data/plots/${slug}.svg`;

/** What a component shows of something that is fetched. */
export type Loaded<T> =
  | { readonly state: "waiting" }
  | { readonly state: "there"; readonly value: T }
  | { readonly state: "failed"; readonly message: string };

/** Fetches when the component is shown, and again where the key changes: it stands for `load`. */
export function useLoaded<T>(load: () => Promise<T>, key: string): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ state: "waiting" });
  useEffect(() => {
    let isCurrent = true;
    setLoaded({ state: "waiting" });
    load().then(
      (value) => isCurrent && setLoaded({ state: "there", value }),
      (error: Error) => isCurrent && setLoaded({ state: "failed", message: error.message }),
    );
    return () => {
      isCurrent = false;
    };
  }, [key]);
  return loaded;
}
