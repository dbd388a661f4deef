/** Keys of the feed: `/` searches, `j` and `k` go from card to card. */
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

export function useCardKeys(
  list: RefObject<HTMLElement | null>,
  field: RefObject<HTMLInputElement | null>,
): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      const isTyping = target.closest("input, textarea, select, [contenteditable]") !== null;
      if (isTyping) {
        if (event.key === "Escape" && target === field.current) field.current.blur();
        return;
      }
      if (event.key === "/") {
        event.preventDefault();
        field.current?.focus();
        field.current?.select();
      }
      if (event.key === "j" || event.key === "k") move(list.current, event.key === "j" ? 1 : -1);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [list, field]);
}

/** Focuses the next card, or the one before. */
function move(list: HTMLElement | null, by: 1 | -1): void {
  const links = [...(list?.querySelectorAll<HTMLElement>("[data-card]") ?? [])];
  const at = links.indexOf(document.activeElement as HTMLElement);
  const next = links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))];
  next?.focus();
  next?.scrollIntoView({ block: "center" });
}
