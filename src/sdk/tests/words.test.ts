// Every language says everything, in words of its own, and is found by its tags.
import { describe, expect, test } from "vitest";
import { WORDS } from "../fields/words/index";
import { CODES } from "../shared/failure";
import { LOCALES, directionOf, localeOf } from "../shared/locale";

/** Failures that are the page's and not the customer's; they are told in English to whoever writes the page. */
const FOR_DEVELOPERS = ["frame_unavailable", "invalid_request", "not_mounted", "payments_unavailable"];

describe("languages", () => {
  test.each(LOCALES)("%s says everything in its own words", (locale) => {
    const words: Readonly<Record<string, string>> = { ...WORDS[locale] };
    expect(Object.keys(words).sort()).toEqual(Object.keys(WORDS.en).sort());
    for (const [name, text] of Object.entries(words)) {
      expect(text.trim()).toBe(text);
      expect(text).not.toBe("");
      const same = text === { ...WORDS.en }[name as keyof typeof WORDS.en];
      if (locale !== "en" && name !== "expiryHint") expect(same, name).toBe(false);
    }
  });

  test("every failure of a customer has words", () => {
    for (const code of CODES) {
      if (!FOR_DEVELOPERS.includes(code)) expect(Object.keys(WORDS.en), code).toContain(code);
    }
  });

  test("tags of regions, of other scripts and of languages that are not there are understood", () => {
    expect(localeOf("de-AT")).toBe("de");
    expect(localeOf("AR_eg")).toBe("ar");
    expect(localeOf("nl")).toBe("en");
    expect(localeOf("auto", ["nl", "fr-CA", "de"])).toBe("fr");
    expect(localeOf("auto", [])).toBe("en");
    expect(directionOf("ar")).toBe("rtl");
    expect(directionOf("ja")).toBe("ltr");
  });
});
