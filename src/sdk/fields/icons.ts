// Marks of the card schemes and of the CVC, drawn with the DOM alone: no picture is fetched and no markup is parsed.

import type { Brand } from "../shared/brands";

/** The mark of a brand, 36 by 24. It says nothing to people who listen; the field's description does. */
export function brandMark(brand: Brand): SVGSVGElement {
  return drawn(MARKS[brand]);
}

/** Where the CVC stands: on the back, or on the front for American Express. */
export function cvcMark(front: boolean): SVGSVGElement {
  return drawn(front ? CVC_FRONT : CVC_BACK);
}

/** A brand's name, as it writes itself. */
export const NAMES: Readonly<Record<Brand, string>> = {
  visa: "Visa",
  mastercard: "Mastercard",
  amex: "American Express",
  discover: "Discover",
  diners: "Diners Club",
  jcb: "JCB",
  unionpay: "UnionPay",
  maestro: "Maestro",
  elo: "Elo",
  rupay: "RuPay",
  mir: "Mir",
  unknown: "",
};

type Shape = readonly [tag: "rect" | "circle" | "path" | "text", attributes: Readonly<Record<string, string | number>>, text?: string];

function drawn(shapes: readonly Shape[]): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 36 24");
  svg.setAttribute("class", "mark");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("focusable", "false");
  for (const [tag, attributes, text] of shapes) {
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) shape.setAttribute(name, String(value));
    if (text !== undefined) shape.textContent = text;
    svg.append(shape);
  }
  return svg;
}

function plate(fill: string, stroke = "#d5dae3"): Shape {
  return ["rect", { x: 0.5, y: 0.5, width: 35, height: 23, rx: 3.5, fill, stroke }];
}

function word(text: string, size: number, fill: string, y: number, more: Readonly<Record<string, string | number>> = {}): Shape {
  const style = { "font-family": "Arial, Helvetica, sans-serif", "font-weight": 700, "text-anchor": "middle" };
  return ["text", { x: 18, y, "font-size": size, fill, ...style, ...more }, text];
}

function circles(left: string, right: string, middle: string): readonly Shape[] {
  return [
    plate("#fff"),
    ["circle", { cx: 14, cy: 12, r: 6.4, fill: left }],
    ["circle", { cx: 22, cy: 12, r: 6.4, fill: right }],
    ["path", { d: "M18 7a6.4 6.4 0 0 1 0 10 6.4 6.4 0 0 1 0-10z", fill: middle }],
  ];
}

function bar(x: number, fill: string): Shape {
  return ["rect", { x, y: 5, width: 7.4, height: 14, rx: 2, fill }];
}

const SVG = "http://www.w3.org/2000/svg";

const CARD: Shape = ["rect", { x: 3, y: 3.5, width: 30, height: 17, rx: 2.5, fill: "none", stroke: "currentColor", "stroke-width": 1.6 }];
const STRIPE: Shape = ["rect", { x: 3, y: 7, width: 30, height: 3.4, fill: "currentColor" }];
const CVC_BACK: readonly Shape[] = [
  CARD,
  STRIPE,
  ["rect", { x: 20.5, y: 12.6, width: 11, height: 6, rx: 3, fill: "var(--sr-color-primary)" }],
  ["path", { d: "M23.4 15.6h.01M26 15.6h.01M28.6 15.6h.01", stroke: "#fff", "stroke-width": 1.8, "stroke-linecap": "round" }],
];
const CVC_FRONT: readonly Shape[] = [
  CARD,
  ["rect", { x: 6.5, y: 7.5, width: 5.5, height: 4.2, rx: 1, fill: "currentColor" }],
  ["rect", { x: 18.5, y: 6.4, width: 13, height: 6, rx: 3, fill: "var(--sr-color-primary)" }],
  ["path", { d: "M21 9.4h.01M23.6 9.4h.01M26.2 9.4h.01M28.8 9.4h.01", stroke: "#fff", "stroke-width": 1.8, "stroke-linecap": "round" }],
];

const MARKS: Readonly<Record<Brand, readonly Shape[]>> = {
  visa: [plate("#fff"), word("VISA", 10.5, "#1434cb", 15.8, { "font-style": "italic", textLength: 26 })],
  mastercard: circles("#eb001b", "#f79e1b", "#ff5f00"),
  maestro: circles("#eb001b", "#00a2e5", "#7375cf"),
  amex: [plate("#1f72cd", "#1f72cd"), word("AMEX", 9, "#fff", 15.2, { textLength: 27 })],
  discover: [
    plate("#fff"),
    ["path", { d: "M35.5 13.5V20a3.5 3.5 0 0 1-3.5 3.5H13c9.5-1.6 17-5 22.5-10z", fill: "#f47216" }],
    word("DISCOVER", 5.6, "#231f20", 11.2, { textLength: 28 }),
  ],
  diners: [
    plate("#fff"),
    ["circle", { cx: 18, cy: 12, r: 8, fill: "#004a97" }],
    ["circle", { cx: 18, cy: 12, r: 5.9, fill: "#fff" }],
    ["path", { d: "M16.4 7.9v8.2a4.4 4.4 0 0 1 0-8.2zM19.6 7.9v8.2a4.4 4.4 0 0 0 0-8.2z", fill: "#004a97" }],
  ],
  jcb: [
    plate("#fff"),
    bar(5.9, "#0b4ea2"),
    bar(14.3, "#d7182a"),
    bar(22.7, "#007b40"),
    word("J", 7, "#fff", 14.6, { x: 9.6 }),
    word("C", 7, "#fff", 14.6, { x: 18 }),
    word("B", 7, "#fff", 14.6, { x: 26.4 }),
  ],
  unionpay: [
    plate("#fff"),
    ["path", { d: "M8.6 4.5H16l-3.4 15H5.2z", fill: "#e21836" }],
    ["path", { d: "M15 4.5h8.2l-3.4 15h-8.2z", fill: "#00447c" }],
    ["path", { d: "M22.2 4.5h8.6l-3.4 15h-8.6z", fill: "#007b84" }],
    word("UnionPay", 4.8, "#fff", 13.6, { textLength: 20 }),
  ],
  elo: [plate("#000", "#000"), word("elo", 12, "#fff", 16)],
  rupay: [
    plate("#fff"),
    word("RuPay", 8, "#262261", 14.8, { x: 15, textLength: 21, "font-style": "italic" }),
    ["path", { d: "M28 7.6l2.4 4.4-4.4 4.4z", fill: "#f37021" }],
    ["path", { d: "M29.8 7.6l2.4 4.4-4.4 4.4z", fill: "#00a651" }],
  ],
  mir: [plate("#fff"), word("МИР", 9.5, "#0f754e", 15.6, { textLength: 26 })],
  unknown: [CARD, STRIPE, ["path", { d: "M7 15.8h7", stroke: "currentColor", "stroke-width": 1.8, "stroke-linecap": "round" }]],
};
