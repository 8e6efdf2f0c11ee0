// Every language of the fields.

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
