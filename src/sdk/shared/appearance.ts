// How fields look: a closed list of variables with values that can name a colour, a length or a font and nothing else.

/** Names of the variables, each a CSS custom property of the frame. */
export type Variable = keyof typeof KINDS;

/** What a shop may say about looks. */
export interface Appearance {
  /** The variables' starting values; `auto` follows the customer's system. Default: `light`. */
  readonly theme?: "light" | "dark" | "auto";
  /** Where labels stand; hidden ones are still read to people who listen. Default: `above`. */
  readonly labels?: "above" | "hidden";
  /** `stacked`: number above expiry and CVC. `row`: one line where there is room for it. Default: `stacked`. */
  readonly layout?: "stacked" | "row";
  readonly variables?: Readonly<Partial<Record<Variable, string>>>;
}

/** A fault of an appearance: where and what to do. */
export interface AppearanceFault {
  readonly at: string;
  readonly why: string;
}

/** The first fault of an appearance, or none. Both frames ask: the shop's page for its developer, the vault's for itself. */
export function faultOf(value: unknown): AppearanceFault | undefined {
  if (!isRecord(value)) return { at: "appearance", why: "give an object" };
  for (const [name, given] of Object.entries(value)) {
    const allowed = CHOICES[name];
    if (allowed !== undefined) {
      if (typeof given !== "string" || !allowed.includes(given)) return { at: name, why: `one of ${allowed.join(", ")}` };
    } else if (name !== "variables") {
      return { at: name, why: `there is no such setting; known are theme, labels, layout and variables` };
    }
  }
  return value["variables"] === undefined ? undefined : faultOfVariables(value["variables"]);
}

/** Whether a value may be set for a variable. */
export function isValue(name: Variable, text: string): boolean {
  return text.length <= VALUE_CHARS_MAX && PATTERNS[KINDS[name]].test(text) && inRange(KINDS[name], text);
}

/** The CSS custom property of a variable: `colorText` is `--sr-color-text`. */
export function propertyOf(name: Variable): string {
  return `--sr-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** Whether a text names a variable. */
export function isVariable(name: string): name is Variable {
  return Object.prototype.hasOwnProperty.call(KINDS, name);
}

function faultOfVariables(value: unknown): AppearanceFault | undefined {
  if (!isRecord(value)) return { at: "variables", why: "give an object" };
  for (const [name, given] of Object.entries(value)) {
    if (!isVariable(name)) return { at: name, why: `there is no such variable; known are ${Object.keys(KINDS).join(", ")}` };
    if (typeof given !== "string" || !isValue(name, given)) return { at: name, why: EXPECTED[KINDS[name]] };
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Lengths stay within what a field can be: nobody hides a field by its size, or its text by its font. */
function inRange(kind: Kind, text: string): boolean {
  if (kind === "font" || kind === "colour" || kind === "weight") return true;
  const number = Number.parseFloat(text);
  const pixels = text.endsWith("em") ? number * 16 : number;
  if (kind === "type") return pixels >= 12 && pixels <= 32;
  return pixels <= 32;
}

type Kind = "colour" | "length" | "type" | "font" | "weight";

const KINDS = {
  colorText: "colour",
  colorLabel: "colour",
  colorPlaceholder: "colour",
  colorBackground: "colour",
  colorBorder: "colour",
  colorPrimary: "colour",
  colorDanger: "colour",
  fontFamily: "font",
  fontSize: "type",
  fontWeight: "weight",
  labelSize: "type",
  labelWeight: "weight",
  borderRadius: "length",
  borderWidth: "length",
  spacing: "length",
  paddingX: "length",
  paddingY: "length",
} as const satisfies Record<string, Kind>;

const PATTERNS: Readonly<Record<Kind, RegExp>> = {
  colour: /^(#[0-9a-f]{3}|#[0-9a-f]{6}|#[0-9a-f]{8}|transparent|(rgb|hsl)a?\([0-9.,%/ deg]{3,40}\))$/i,
  length: /^(0|[0-9]{1,2}(\.[0-9]{1,3})?(px|rem|em))$/,
  type: /^[0-9]{1,2}(\.[0-9]{1,3})?(px|rem|em)$/,
  // Names of fonts that the customer's device has; no address, no function, no end of the declaration.
  font: /^[A-Za-z0-9 ,'"_-]{1,200}$/,
  weight: /^[1-9]00$/,
};

const EXPECTED: Readonly<Record<Kind, string>> = {
  colour: "a colour as #rgb, #rrggbb, #rrggbbaa, rgb(...) or hsl(...)",
  length: "a length from 0 to 32px, in px, rem or em",
  type: "a size from 12px to 32px, in px, rem or em",
  font: "names of fonts with commas between them",
  weight: "a weight from 100 to 900 in hundreds",
};

const CHOICES: Readonly<Record<string, readonly string[]>> = {
  theme: ["light", "dark", "auto"],
  labels: ["above", "hidden"],
  layout: ["stacked", "row"],
};

const VALUE_CHARS_MAX = 200;

/** Every variable, for documentation and tests. */
export const VARIABLES = Object.keys(KINDS) as readonly Variable[];
