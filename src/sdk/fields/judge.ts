// What is typed, judged: whether a field is right, not finished, or wrong, and how it is written.

import { cvcDigits, grouped, longest, luhn, schemeOf, type Brand } from "../shared/brands";
import type { FailureCode } from "../shared/failure";

/** The fault of a field, or nothing. */
export type Fault = FailureCode | undefined;

/** A month and a four-digit year. */
export interface Expiry {
  readonly month: number;
  readonly year: number;
}

/** The digits of what somebody typed or pasted, in any script's digits that phones and keyboards write. */
export function digitsOf(text: string): string {
  let out = "";
  for (const sign of text) {
    const code = sign.codePointAt(0) ?? 0;
    const base = ZEROS.find((zero) => code >= zero && code <= zero + 9);
    if (base !== undefined) out += String(code - base);
  }
  return out;
}

/** A card number as far as it is typed, in its groups, cut at the longest of its scheme. */
export function writtenNumber(text: string): string {
  const digits = digitsOf(text);
  return grouped(digits.slice(0, longest(schemeOf(digits))));
}

/** The fault of a card number. */
export function faultOfNumber(digits: string, accepted: readonly Brand[] | undefined): Fault {
  const scheme = schemeOf(digits);
  if (accepted !== undefined && scheme.brand !== "unknown" && !accepted.includes(scheme.brand)) return "brand_not_accepted";
  if (scheme.lengths.includes(digits.length)) {
    if (!scheme.checked || luhn(digits)) {
      return accepted !== undefined && !accepted.includes(scheme.brand) ? "brand_not_accepted" : undefined;
    }
    // A longer number may be on its way, but not beyond the usual length with a wrong check digit.
    return digits.length >= scheme.usual ? "invalid_number" : "incomplete_number";
  }
  return digits.length >= longest(scheme) ? "invalid_number" : "incomplete_number";
}

/** Whether a person has most likely typed the last digit. */
export function isWhole(digits: string): boolean {
  const scheme = schemeOf(digits);
  const ends = scheme.brand === "diners" && digits.length === 16 ? 16 : scheme.usual;
  return digits.length === ends && faultOfNumber(digits, undefined) === undefined;
}

/** An expiry as far as it is typed, as `MM / YY`. `deleting` leaves the separator to be deleted. */
export function writtenExpiry(text: string, deleting = false): string {
  const year = /^\s*(20[0-9]{2})\s*[-/.]\s*([0-9]{1,2})\s*$/.exec(text);
  const ordered = year === null ? text : `${year[2]?.padStart(2, "0")}/${year[1]}`;
  const [first = "", second] = ordered.split(/[-/.]/).map(digitsOf);
  let digits = second === undefined ? first : first.padStart(first === "" ? 0 : 2, "0") + second;
  if (second === undefined && /^[2-9]/.test(digits)) digits = `0${digits}`;
  // A month has two digits: 13 is January, year beginning with 3.
  if (second === undefined && /^1[3-9]/.test(digits)) digits = `0${digits}`;
  const month = digits.slice(0, 2);
  const rest = digits.slice(2);
  const short = rest.length === 4 && rest.startsWith("20") ? rest.slice(2) : rest.slice(0, 2);
  if (month.length < 2 || (deleting && short === "")) return month;
  return `${month} / ${short}`;
}

/** The month and year of a written expiry. */
export function expiryOf(written: string): Expiry | undefined {
  const digits = digitsOf(written);
  if (digits.length !== 4) return undefined;
  return { month: Number(digits.slice(0, 2)), year: 2000 + Number(digits.slice(2)) };
}

/** The fault of a written expiry on this day. A card is good until its month ended everywhere, as at the vault. */
export function faultOfExpiry(written: string, now: Date): Fault {
  const month = digitsOf(written).slice(0, 2);
  if (month.length === 2 && (month === "00" || Number(month) > 12)) return "invalid_expiry";
  const expiry = expiryOf(written);
  if (expiry === undefined) return "incomplete_expiry";
  const last = new Date(now.getTime() - LAST_ZONE_BEHIND_UTC_MS);
  const months = expiry.year * 12 + expiry.month - 1;
  const thisMonth = last.getUTCFullYear() * 12 + last.getUTCMonth();
  if (months < thisMonth) return "expired_card";
  return expiry.year > last.getUTCFullYear() + YEARS_AHEAD_MAX ? "invalid_expiry" : undefined;
}

/** A CVC as far as it is typed. */
export function writtenCvc(text: string, brand: Brand): string {
  return digitsOf(text).slice(0, cvcDigits(brand) || 4);
}

/** The fault of a CVC. */
export function faultOfCvc(digits: string, brand: Brand): Fault {
  const wanted = cvcDigits(brand);
  if (wanted === 0 ? digits.length === 3 || digits.length === 4 : digits.length === wanted) return undefined;
  return digits.length > (wanted || 4) ? "invalid_cvc" : "incomplete_cvc";
}

/** The fault of a holder's name. */
export function faultOfName(name: string, required: boolean): Fault {
  const text = name.trim();
  if (text === "") return required ? "incomplete_name" : undefined;
  const tooLong = new TextEncoder().encode(text).length > NAME_BYTES_MAX;
  // A number in the name's place is most likely the card's.
  return tooLong || digitsOf(text).length >= 12 || /\p{Cc}/u.test(text) ? "invalid_name" : undefined;
}

/** First code points of the decimal digits: ASCII, Arabic-Indic, Persian, full width. */
const ZEROS = [0x30, 0x660, 0x6f0, 0xff10];

const LAST_ZONE_BEHIND_UTC_MS = 12 * 3600 * 1000;
const YEARS_AHEAD_MAX = 50;
const NAME_BYTES_MAX = 96;
