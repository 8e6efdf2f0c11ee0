// Whether people can read one colour on another (WCAG 2.2, contrast ratio), for colours that a shop chose.

/** The ratio of two colours from 1 to 21; nothing where one of them is not written in a way that is understood here. */
export function contrast(one: string, other: string): number | undefined {
  const [a, b] = [luminance(one), luminance(other)];
  if (a === undefined || b === undefined) return undefined;
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

/** Black or white, whichever is read better on this colour. */
export function onColour(colour: string): string | undefined {
  const light = contrast(colour, WHITE);
  return light === undefined ? undefined : light >= READABLE ? WHITE : BLACK;
}

function luminance(colour: string): number | undefined {
  const parts = channels(colour.trim());
  if (parts === undefined) return undefined;
  const [red = 0, green = 0, blue = 0] = parts.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function channels(colour: string): readonly number[] | undefined {
  const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(colour)?.[1];
  if (hex !== undefined) {
    const pairs = hex.length === 3 ? [...hex].map((digit) => digit + digit) : hex.match(/../g);
    return pairs?.map((pair) => Number.parseInt(pair, 16));
  }
  const rgb = /^rgb\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})\s*\)$/i.exec(colour);
  return rgb?.slice(1).map((part) => Math.min(255, Number(part)));
}

/** What text of common size needs. */
export const READABLE = 4.5;
const WHITE = "#ffffff";
const BLACK = "#10131c";
