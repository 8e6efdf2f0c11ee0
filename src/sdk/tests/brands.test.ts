// Schemes, lengths, groups and check digits; and that the table is the vault's own.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { BRANDS, RANGES, cvcDigits, grouped, isBrand, longest, luhn, schemeOf } from "../shared/brands";

/** The repository's root; the tests may run on a copy. */
const ROOT = process.env["STRONGROOM_ROOT"] ?? join(__dirname, "../../..");

describe("brands", () => {
  test("the ranges are those of the vault", () => {
    const rust = readFileSync(join(ROOT, "src/wire/scheme.rs"), "utf8").split("const RANGES")[1] ?? "";
    const vault = [...rust.matchAll(/\(Brand::(\w+), (\d{3})_(\d{3}), (\d{3})_(\d{3})\)/g)];
    const theirs = vault.map(([, brand, a, b, c, d]) => [brand?.toLowerCase(), Number(`${a}${b}`), Number(`${c}${d}`)]);
    expect(theirs.length).toBeGreaterThan(40);
    expect(RANGES).toEqual(theirs);
  });

  test.each([
    ["4242424242424242", "visa"],
    ["5555555555554444", "mastercard"],
    ["2223003122003222", "mastercard"],
    ["378282246310005", "amex"],
    ["6011111111111117", "discover"],
    ["36227206271667", "diners"],
    ["3566002020360505", "jcb"],
    ["6200000000000005", "unionpay"],
  ])("a published number of each scheme is known", (number, brand) => {
    const scheme = schemeOf(number);
    expect(scheme.brand).toBe(brand);
    expect(scheme.lengths).toContain(number.length);
    expect(luhn(number)).toBe(true);
    expect(luhn(`${number.slice(0, -1)}${(Number(number.slice(-1)) + 1) % 10}`)).toBe(false);
  });

  test("a brand shows as soon as no other is possible, and not before", () => {
    expect(schemeOf("").brand).toBe("unknown");
    expect(schemeOf("4").brand).toBe("visa");
    expect(schemeOf("5").brand).toBe("unknown");
    expect(schemeOf("51").brand).toBe("mastercard");
    expect(schemeOf("3").brand).toBe("unknown");
    expect(schemeOf("37").brand).toBe("amex");
    // Elo inside Visa.
    expect(schemeOf("40117").brand).toBe("visa");
    expect(schemeOf("401178").brand).toBe("elo");
  });

  test("numbers are grouped as they are printed", () => {
    expect(grouped("4242424242424242")).toBe("4242 4242 4242 4242");
    expect(grouped("378282246310005")).toBe("3782 822463 10005");
    expect(grouped("36227206271667")).toBe("3622 720627 1667");
    expect(grouped("6205500000000000004")).toBe("6205 5000 0000 0000 004");
    expect(grouped("42424")).toBe("4242 4");
    expect(grouped("")).toBe("");
  });

  test("every brand has a name that is one, lengths and a CVC", () => {
    for (const brand of BRANDS) {
      expect(isBrand(brand)).toBe(true);
      expect([3, 4]).toContain(cvcDigits(brand));
    }
    expect(cvcDigits("unknown")).toBe(0);
    expect(isBrand("visa ")).toBe(false);
    expect(longest(schemeOf("4"))).toBe(19);
  });
});
