// Languages: which there are, and which of them a page or a browser means.

/** Languages that the fields speak. */
export type Locale = "en" | "de" | "fr" | "es" | "ja" | "ar";

/** Every language, English first. */
export const LOCALES: readonly Locale[] = ["en", "de", "fr", "es", "ja", "ar"];

/** The language that is meant by a tag such as `de-AT`; `auto` asks the browser; English where there is no better. */
export function localeOf(tag: string, asked: readonly string[] = []): Locale {
  for (const wanted of tag === "auto" ? asked : [tag]) {
    const language = wanted.toLowerCase().split(/[-_]/)[0];
    const known = LOCALES.find((locale) => locale === language);
    if (known !== undefined) return known;
  }
  return "en";
}

/** Which way a language is written. */
export function directionOf(locale: Locale): "ltr" | "rtl" {
  return locale === "ar" ? "rtl" : "ltr";
}
