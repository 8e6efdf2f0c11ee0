// How numbers, expiries, CVCs and names are written and judged.
import { describe, expect, test } from "vitest";
import {
  digitsOf,
  expiryOf,
  faultOfCvc,
  faultOfExpiry,
  faultOfName,
  faultOfNumber,
  isWhole,
  writtenCvc,
  writtenExpiry,
  writtenNumber,
} from "../fields/judge";

const NOW = new Date("2026-03-15T00:00:00Z");

describe("numbers", () => {
  test("pasted numbers with blanks, hyphens and other scripts' digits are read", () => {
    expect(writtenNumber(" 4242-4242 4242\u00a04242 ")).toBe("4242 4242 4242 4242");
    expect(writtenNumber("card: 378282246310005.")).toBe("3782 822463 10005");
    expect(digitsOf("٤٢۴２")).toBe("4242");
  });

  test("a number is cut at its scheme's longest", () => {
    expect(digitsOf(writtenNumber("5555555555554444999"))).toBe("5555555555554444");
  });

  test.each([
    ["", "incomplete_number"],
    ["4242", "incomplete_number"],
    ["4242424242424242", undefined],
    ["4242424242424241", "invalid_number"],
    ["424242424242424", "incomplete_number"],
    ["37828224631000", "incomplete_number"],
    ["378282246310005", undefined],
    ["6200000000000005", undefined],
    ["5555555555554445", "invalid_number"],
  ])("%s is judged", (digits, fault) => {
    expect(faultOfNumber(digits, undefined)).toBe(fault);
  });

  test("a brand that the shop does not take is told as soon as it is known", () => {
    expect(faultOfNumber("37", ["visa"])).toBe("brand_not_accepted");
    expect(faultOfNumber("5", ["visa"])).toBe("incomplete_number");
    expect(faultOfNumber("4242424242424242", ["visa"])).toBeUndefined();
  });

  test("the caret moves on when a number is whole", () => {
    expect(isWhole("4242424242424242")).toBe(true);
    expect(isWhole("424242424242424")).toBe(false);
    expect(isWhole("4242424242424241")).toBe(false);
    expect(isWhole("378282246310005")).toBe(true);
    expect(isWhole("36227206271667")).toBe(true);
  });
});

describe("expiries", () => {
  test.each([
    ["1", "1"],
    ["4", "04 / "],
    ["12", "12 / "],
    ["13", "01 / 3"],
    ["1/3", "01 / 3"],
    ["1230", "12 / 30"],
    ["12/30", "12 / 30"],
    ["12 / 2030", "12 / 30"],
    ["122030", "12 / 30"],
    ["2030-12", "12 / 30"],
    ["0", "0"],
    ["", ""],
  ])("%s is written", (typed, written) => {
    expect(writtenExpiry(typed)).toBe(written);
    expect(writtenExpiry(written)).toBe(written);
  });

  test("the separator can be deleted", () => {
    expect(writtenExpiry("12 /", true)).toBe("12");
    expect(writtenExpiry("1", true)).toBe("1");
    expect(writtenExpiry("12 / 3", true)).toBe("12 / 3");
  });

  test.each([
    ["03 / 26", undefined],
    ["02 / 26", "expired_card"],
    ["12 / 25", "expired_card"],
    ["13 / 30", "invalid_expiry"],
    ["00 / ", "invalid_expiry"],
    ["12 / 3", "incomplete_expiry"],
    ["05 / 76", undefined],
    ["05 / 77", "invalid_expiry"],
    ["", "incomplete_expiry"],
  ])("%s is judged", (written, fault) => {
    expect(faultOfExpiry(written, NOW)).toBe(fault);
  });

  test("a card is good until its month ended everywhere", () => {
    expect(faultOfExpiry("03 / 26", new Date("2026-04-01T11:59:59Z"))).toBeUndefined();
    expect(faultOfExpiry("03 / 26", new Date("2026-04-01T12:00:00Z"))).toBe("expired_card");
    expect(expiryOf("12 / 30")).toEqual({ month: 12, year: 2030 });
  });
});

describe("the others", () => {
  test("a CVC has the length of its brand", () => {
    expect(writtenCvc("12345", "visa")).toBe("123");
    expect(writtenCvc("12345", "amex")).toBe("1234");
    expect(faultOfCvc("123", "visa")).toBeUndefined();
    expect(faultOfCvc("123", "amex")).toBe("incomplete_cvc");
    expect(faultOfCvc("1234", "visa")).toBe("invalid_cvc");
    expect(faultOfCvc("123", "unknown")).toBeUndefined();
    expect(faultOfCvc("1234", "unknown")).toBeUndefined();
  });

  test("a card number in the name's place is noticed", () => {
    expect(faultOfName("Ada Lovelace", true)).toBeUndefined();
    expect(faultOfName("", true)).toBe("incomplete_name");
    expect(faultOfName(" ", false)).toBeUndefined();
    expect(faultOfName("4242 4242 4242 4242", false)).toBe("invalid_name");
    expect(faultOfName("é".repeat(49), false)).toBe("invalid_name");
  });
});
