/** What the pages of SVG of several reports share. */

/** A text inside SVG. */
export function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** A colour from white for nothing to blue for all. */
export function shadeShare(share: number): string {
  const other = Math.round(255 - Math.min(1, Math.max(0, share)) * 130);
  return `rgb(${other},${Math.min(255, other + 40)},255)`;
}
