// Elements of the page, made without markup that somebody would have to escape.

/** An element with attributes and what stands in it. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string>> = {},
  ...inside: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

/** Sets a text only if it is another one, so that nobody who listens hears it twice. */
export function say(place: HTMLElement, text: string): void {
  if (place.textContent !== text) place.textContent = text;
}

/** A drawing of lines in a square of 24. */
export function drawing(path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  const attributes = { viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false", class: "drawing" };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

/** A closed lock. */
export const LOCK = "M7 11V8a5 5 0 0 1 10 0v3M6 11h12v9H6z";
/** A tick. */
export const TICK = "M5 12.5l4.5 4.5L19 7.5";
/** A cross. */
export const CROSS = "M7 7l10 10M17 7L7 17";
/** Two hands of a clock. */
export const CLOCK = "M12 7v5.2l3.4 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z";
/** A shield. */
export const SHIELD = "M12 3l7.5 2.8v5.4c0 4.5-3 8-7.5 9.8-4.5-1.8-7.5-5.3-7.5-9.8V5.8zM9 12l2.3 2.3L15.3 10";

const SVG = "http://www.w3.org/2000/svg";
