// How a sheet looks: the same variables as the fields, in a shadow tree that the shop's styles do not reach.

import { isVariable, propertyOf, type Appearance } from "../shared/appearance";
import { READABLE, contrast, onColour } from "./contrast";
import { STYLE } from "./style";

/** The part of an appearance that a sheet uses. */
export type Looks = Pick<Appearance, "theme" | "variables">;

/** Gives a shadow tree its style, and its host the variables. */
export function dress(root: ShadowRoot, host: HTMLElement, looks: Looks): void {
  try {
    sheet ??= made();
    root.adoptedStyleSheets = [sheet];
  } catch {
    // Browsers that know no such sheets.
    const style = document.createElement("style");
    style.textContent = STYLE;
    root.append(style);
  }
  paint(host, looks);
}

/** Sets theme and variables of a host. They were checked where the shop gave them. */
export function paint(host: HTMLElement, looks: Looks): void {
  host.dataset["theme"] = looks.theme ?? "light";
  for (const [name, value] of Object.entries(looks.variables ?? {})) {
    if (isVariable(name) && typeof value === "string") host.style.setProperty(propertyOf(name), value);
  }
  // A colour that the shop chose for buttons may be none to write with, or to write on in white.
  const { colorPrimary, colorBackground, colorText } = looks.variables ?? {};
  if (colorPrimary === undefined) return;
  const on = onColour(colorPrimary);
  if (on !== undefined) host.style.setProperty("--on-primary", on);
  const ground = colorBackground ?? (looks.theme === "dark" ? "#171b24" : "#ffffff");
  if ((contrast(colorPrimary, ground) ?? READABLE) < READABLE) host.style.setProperty("--link", colorText ?? "var(--sr-color-text)");
}

function made(): CSSStyleSheet {
  const styles = new CSSStyleSheet();
  styles.replaceSync(STYLE);
  return styles;
}

let sheet: CSSStyleSheet | undefined;
