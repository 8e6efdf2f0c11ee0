// Amounts, dates, texts and colours for people.

import { describe, expect, it } from "vitest";
import { formatAmount, formatExpiry } from "../../client/money";
import { brandOf, isExpired } from "../../client/read";
import { LOCALES } from "../../shared/locale";
import { READABLE, contrast, onColour } from "../../sheet/contrast";
import { isEnd } from "../../sheet/dialog";
import { STYLE } from "../../sheet/style";
import { WORDS, fill } from "../../sheet/words";

const plain = (text: string): string => text.replace(/[\s\u00a0\u202f\u200f\u200e\u061c]+/g, " ").trim();

describe("an amount", () => {
  it("is written as its currency and the language want it", () => {
    for (const [minor, currency, tag, written] of [
      [4950, "EUR", "en", "€49.50"],
      [4950, "EUR", "de-DE", "49,50 €"],
      [4950, "EUR", "fr-FR", "49,50 €"],
      [4950, "JPY", "en", "¥4,950"],
      [1500, "KWD", "en", "KWD 1.500"],
      [0, "USD", "en", "$0.00"],
      [1, "USD", "en", "$0.01"],
      [999_999_999_999, "USD", "en", "$9,999,999,999.99"],
    ] as const) {
      expect(plain(formatAmount(minor, currency, tag))).toBe(written);
    }
  });

  it("in a currency that nobody knows is written in plain digits", () => {
    expect(formatAmount(100, "no", "en")).toBe("100 no");
  });

  it("never loses a minor unit", () => {
    for (let minor = 0; minor < 3000; minor += 7) {
      expect(Math.round(Number(formatAmount(minor, "USD", "en").replace(/[^0-9.]/g, "")) * 100)).toBe(minor);
    }
  });
});

describe("a card's last month", () => {
  it("has two digits each", () => {
    expect(formatExpiry(3, 2034, "en")).toBe("03/34");
  });

  it("lasts until it ended everywhere", () => {
    const card = { month: 5, year: 2031 };
    expect(isExpired(card, Date.UTC(2031, 5, 1, 11, 59))).toBe(false);
    expect(isExpired(card, Date.UTC(2031, 5, 1, 12, 0))).toBe(true);
  });
});

describe("a network's name", () => {
  it("leads to its brand, and an unknown one to none", () => {
    for (const [name, brand] of [
      ["Visa", "visa"],
      ["AmericanExpress", "amex"],
      ["DinersClub", "diners"],
      ["UnionPay", "unionpay"],
      ["JCB", "jcb"],
      ["RuPay", "rupay"],
      ["Surprise", "unknown"],
      [null, "unknown"],
    ] as const) {
      expect(brandOf(name)).toBe(brand);
    }
  });
});

describe("texts", () => {
  it("are there in every language, with the same gaps", () => {
    const gaps = (text: string): string[] => [...text.matchAll(/\{[a-z0-9]+\}/g)].map((gap) => gap[0]).sort();
    for (const locale of LOCALES) {
      for (const [name, text] of Object.entries(WORDS.en)) {
        const other = WORDS[locale][name as keyof typeof WORDS.en];
        expect(other.trim(), `${locale} ${name}`).not.toBe("");
        expect(gaps(other), `${locale} ${name}`).toEqual(gaps(text));
        if (locale !== "en" && text.length > 12) expect(other, `${locale} ${name}`).not.toBe(text);
      }
    }
  });

  it("are filled, and from right to left each part keeps its direction", () => {
    expect(fill(WORDS.en.card, { brand: "Visa", last4: "4242" })).toBe("Visa ending in 4242");
    expect(fill(WORDS.ar.pay, { amount: "1" })).toContain("\u20681\u2069");
    expect(fill("{unknown}", {})).toBe("{unknown}");
  });
});

describe("colours", () => {
  it("of the sheet's own themes can be read on their ground", () => {
    const themes = [STYLE.slice(0, STYLE.indexOf("[data-theme")), STYLE.slice(STYLE.indexOf("[data-theme"))];
    for (const theme of themes) {
      const of = (name: string): string => new RegExp(`${name}:(#[0-9a-f]{6})`).exec(theme)?.[1] ?? "";
      for (const ground of [of("--sr-color-background"), of("--shade")]) {
        for (const name of ["--sr-color-text", "--sr-color-label", "--sr-color-placeholder", "--sr-color-primary", "--sr-color-danger", "--good"]) {
          expect(contrast(of(name), ground) ?? 0, `${name} on ${ground}`).toBeGreaterThanOrEqual(READABLE);
        }
      }
      expect(contrast(of("--on-primary"), of("--sr-color-primary")) ?? 0).toBeGreaterThanOrEqual(READABLE);
    }
  });

  it("of a button are written on in what is read best", () => {
    expect([onColour("#2f55e0"), onColour("#ffcc00"), onColour("rgb(0, 0, 0)"), onColour("#fff")]).toEqual(["#ffffff", "#10131c", "#ffffff", "#10131c"]);
    expect(onColour("hsl(1 2% 3%)")).toBeUndefined();
    expect(contrast("#000", "#fff")).toBeCloseTo(21, 5);
  });
});

describe("the end of an authentication", () => {
  it("is believed to be one only for this payment and in this form", () => {
    const end = { source: "strongroom", type: "authentication", payment_id: "pay_1", status: "succeeded" };
    expect(isEnd(end, "pay_1")).toBe(true);
    for (const other of [null, "x", {}, { ...end, payment_id: "pay_2" }, { ...end, source: "x" }, { ...end, type: "x" }]) {
      expect(isEnd(other, "pay_1")).toBe(false);
    }
  });
});
