// Card schemes: which number belongs to which, how long it may be, how it is grouped. The same table as the vault's.

/** A scheme's name, as the vault's API writes it. */
export type Brand =
  | "visa"
  | "mastercard"
  | "amex"
  | "discover"
  | "diners"
  | "jcb"
  | "unionpay"
  | "maestro"
  | "elo"
  | "rupay"
  | "mir"
  | "unknown";

/** What is known about the numbers of one scheme. */
export interface Scheme {
  readonly brand: Brand;
  /** Lengths that its numbers may have, in digits. */
  readonly lengths: readonly number[];
  /** The length that nearly all of its numbers have: at it a person has most likely typed the last digit. */
  readonly usual: number;
  /** Whether the last digit is a check digit on every number. */
  readonly checked: boolean;
}

/** The scheme of the digits typed so far: the narrowest range that holds every number that begins like this. */
export function schemeOf(digits: string): Scheme {
  const head = digits.slice(0, PREFIX);
  if (head === "") return SCHEMES.unknown;
  const first = Number(head.padEnd(PREFIX, "0"));
  const last = Number(head.padEnd(PREFIX, "9"));
  let best: (typeof RANGES)[number] | undefined;
  for (const range of RANGES) {
    const holds = range[1] <= first && last <= range[2];
    if (holds && (best === undefined || range[2] - range[1] < best[2] - best[1])) best = range;
  }
  return SCHEMES[best?.[0] ?? "unknown"];
}

/** Whether the digits pass the check of ISO/IEC 7812-1 annex B. */
export function luhn(digits: string): boolean {
  let sum = 0;
  for (let place = 0; place < digits.length; place += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - place) - 48;
    const doubled = place % 2 === 0 ? digit : digit * 2;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

/** The most digits of a scheme's numbers. */
export function longest(scheme: Scheme): number {
  return Math.max(...scheme.lengths);
}

/** The length of a scheme's CVC, in digits; 0 where either 3 or 4 may be right. */
export function cvcDigits(brand: Brand): 0 | 3 | 4 {
  if (brand === "amex") return 4;
  return brand === "unknown" ? 0 : 3;
}

/** Where blanks stand in a number of this scheme: the lengths of its groups. */
export function groupsOf(scheme: Scheme, digits: number): readonly number[] {
  const short = scheme.brand === "amex" || (scheme.brand === "diners" && digits <= 14);
  return short ? [4, 6, 5] : [4, 4, 4, 4, 3];
}

/** The digits in the groups that are printed on the card. */
export function grouped(digits: string): string {
  const parts: string[] = [];
  let at = 0;
  for (const length of groupsOf(schemeOf(digits), digits.length)) {
    if (at >= digits.length) break;
    parts.push(digits.slice(at, at + length));
    at += length;
  }
  return parts.join(" ");
}

/** Every brand but `unknown`. */
export const BRANDS: readonly Exclude<Brand, "unknown">[] = [
  "visa",
  "mastercard",
  "amex",
  "discover",
  "diners",
  "jcb",
  "unionpay",
  "maestro",
  "elo",
  "rupay",
  "mir",
];

/** Whether a text names a brand. */
export function isBrand(text: unknown): text is Brand {
  return text === "unknown" || BRANDS.some((brand) => brand === text);
}

function span(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, step) => from + step);
}

function scheme(brand: Brand, lengths: readonly number[], usual = 16, checked = true): Scheme {
  return { brand, lengths, usual, checked };
}

/** How many digits decide. */
const PREFIX = 6;

const SCHEMES: Readonly<Record<Brand, Scheme>> = {
  visa: scheme("visa", [13, 16, 19]),
  mastercard: scheme("mastercard", [16]),
  amex: scheme("amex", [15], 15),
  discover: scheme("discover", span(16, 19)),
  diners: scheme("diners", span(14, 19), 14),
  jcb: scheme("jcb", span(16, 19)),
  // It has issued numbers without a check digit.
  unionpay: scheme("unionpay", span(16, 19), 19, false),
  maestro: scheme("maestro", span(12, 19), 19),
  elo: scheme("elo", [16]),
  rupay: scheme("rupay", [16]),
  mir: scheme("mir", span(16, 19)),
  unknown: scheme("unknown", span(12, 19), 19),
};

/** First and last six digits of each range that a scheme issues from. */
export const RANGES: readonly (readonly [Brand, number, number])[] = [
  ["visa", 400_000, 499_999],
  ["mastercard", 510_000, 559_999],
  ["mastercard", 222_100, 272_099],
  ["amex", 340_000, 349_999],
  ["amex", 370_000, 379_999],
  ["discover", 601_100, 601_199],
  ["discover", 644_000, 659_999],
  ["diners", 300_000, 305_999],
  ["diners", 309_500, 309_599],
  ["diners", 360_000, 369_999],
  ["diners", 380_000, 399_999],
  ["jcb", 352_800, 358_999],
  ["unionpay", 620_000, 629_999],
  ["unionpay", 810_000, 817_199],
  ["maestro", 500_000, 509_999],
  ["maestro", 560_000, 599_999],
  ["maestro", 630_000, 639_999],
  ["maestro", 670_000, 679_999],
  ["mir", 220_000, 220_499],
  ["rupay", 508_500, 508_999],
  ["rupay", 606_985, 607_984],
  ["rupay", 608_001, 608_500],
  ["rupay", 652_150, 653_149],
  ["rupay", 817_200, 820_199],
  ["elo", 401_178, 401_179],
  ["elo", 431_274, 431_274],
  ["elo", 438_935, 438_935],
  ["elo", 451_416, 451_416],
  ["elo", 457_393, 457_393],
  ["elo", 457_631, 457_632],
  ["elo", 504_175, 504_175],
  ["elo", 506_699, 506_778],
  ["elo", 509_000, 509_999],
  ["elo", 627_780, 627_780],
  ["elo", 636_297, 636_297],
  ["elo", 636_368, 636_368],
  ["elo", 650_031, 650_033],
  ["elo", 650_035, 650_051],
  ["elo", 650_405, 650_439],
  ["elo", 650_485, 650_538],
  ["elo", 650_541, 650_598],
  ["elo", 650_700, 650_718],
  ["elo", 650_720, 650_727],
  ["elo", 650_901, 650_978],
  ["elo", 651_652, 651_679],
  ["elo", 655_000, 655_019],
  ["elo", 655_021, 655_058],
];
