// Every language of the sheet, and how texts are filled.

import type { Locale } from "../../shared/locale";
import { ar } from "./ar";
import { de } from "./de";
import { en } from "./en";
import { es } from "./es";
import { fr } from "./fr";
import { ja } from "./ja";
import type { Words } from "./words";

export type { Words } from "./words";

/** The texts of each language. */
export const WORDS: Readonly<Record<Locale, Words>> = { en, de, fr, es, ja, ar };

/** A text with its gaps filled; in a text from right to left each part keeps its own direction. */
export function fill(text: string, parts: Readonly<Record<string, string>>): string {
  const [before, after] = RIGHT_TO_LEFT.test(text) ? [FIRST_STRONG_ISOLATE, POP_ISOLATE] : ["", ""];
  return text.replace(/\{([a-z0-9]+)\}/gi, (gap, name: string) => {
    const part = parts[name];
    return part === undefined ? gap : `${before}${part}${after}`;
  });
}

/** Letters of Hebrew and Arabic. */
const RIGHT_TO_LEFT = /[\u0590-\u08ff]/;
const FIRST_STRONG_ISOLATE = "\u2068";
const POP_ISOLATE = "\u2069";
