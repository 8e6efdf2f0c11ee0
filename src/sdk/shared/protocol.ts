// Messages between the shop's page and the vault's frame, read strictly on both sides. None of them carries a digit of a card.

import { isBrand, type Brand } from "./brands";
import { isFailure, isField, type Failure, type FailureCode, type Field } from "./failure";
import type { Appearance } from "./appearance";

/** Which fields a frame holds: a whole card, or the CVC of one that is stored. */
export type ElementKind = "card" | "cvc";

/** What a frame is told about its looks and behaviour. */
export interface FrameOptions {
  /** A language tag, or `auto`. */
  readonly locale?: string;
  readonly appearance?: Appearance;
  /** Whether the holder's name is asked for. Default: `none`. */
  readonly holderName?: "none" | "optional" | "required";
  /** Brands that the shop takes; all when absent. */
  readonly brands?: readonly Brand[];
  /** The brand of the stored card whose CVC is asked for. */
  readonly brand?: Brand;
  readonly disabled?: boolean;
}

/** What a card is stored with. */
export interface TokenizeRequest {
  /** Whose card it is, where the session does not say so. */
  readonly customer?: string;
  readonly storage?: "long_term" | "short_term";
  /** The shop's notes. What looks like a card number is refused. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The masked card that a shop gets. */
export interface MaskedCard {
  readonly brand: Brand;
  readonly last4: string;
  readonly exp_month: number;
  readonly exp_year: number;
}

/** A stored card. */
export interface TokenizeResult {
  /** The token: `pm_...`. */
  readonly payment_method_id: string;
  readonly card: MaskedCard;
  /** The CVC, sealed for one use within 15 minutes. */
  readonly cvc_token?: string;
}

/** A CVC for a stored card. */
export interface CvcResult {
  readonly cvc_token: string;
}

/** What is known of the fields while somebody types. */
export interface Change {
  readonly kind: ElementKind;
  readonly brand: Brand;
  /** Whether everything is typed and valid. */
  readonly complete: boolean;
  /** Whether nothing is typed. */
  readonly empty: boolean;
  /** The fault of each field that shows one. */
  readonly errors: Readonly<Partial<Record<Field, FailureCode>>>;
}

/** The one message to the frame's window; a port comes with it. */
export interface Hello {
  readonly strongroom: typeof PROTOCOL;
  readonly kind: ElementKind;
  readonly session: string;
  readonly options: FrameOptions;
}

/** From the page to the frame, over the port. */
export type ToFrame =
  | { readonly type: "update"; readonly options: FrameOptions }
  | { readonly type: "focus" | "blur" | "clear" }
  | { readonly type: "session"; readonly session: string }
  | { readonly type: "tokenize"; readonly id: number; readonly request: TokenizeRequest }
  | { readonly type: "seal_cvc"; readonly id: number; readonly paymentMethod: string };

/** From the frame to the page, over the port. */
export type FromFrame =
  | { readonly type: "ready" | "submit" }
  | { readonly type: "change"; readonly change: Change }
  | { readonly type: "focus" | "blur"; readonly field: Field }
  | { readonly type: "size"; readonly height: number }
  | { readonly type: "done"; readonly id: number; readonly result: TokenizeResult | CvcResult }
  | { readonly type: "failed"; readonly id: number; readonly failure: Failure };

/** A message of the frame, or nothing for what is none. */
export function fromFrame(value: unknown): FromFrame | undefined {
  if (!isRecord(value)) return undefined;
  switch (value["type"]) {
    case "ready":
    case "submit":
      return { type: value["type"] };
    case "change":
      return isChange(value["change"]) ? { type: "change", change: value["change"] } : undefined;
    case "focus":
    case "blur":
      return isField(value["field"]) ? { type: value["type"], field: value["field"] } : undefined;
    case "size":
      return isCount(value["height"], HEIGHT_MAX) ? { type: "size", height: value["height"] } : undefined;
    case "done": {
      const { id, result } = value;
      return isId(id) && (isTokenizeResult(result) || isCvcResult(result)) ? { type: "done", id, result } : undefined;
    }
    case "failed": {
      const { id, failure } = value;
      return isId(id) && isFailure(failure) ? { type: "failed", id, failure } : undefined;
    }
    default:
      return undefined;
  }
}

/** A message of the page, or nothing for what is none. Options are looked at where they are used. */
export function toFrame(value: unknown): ToFrame | undefined {
  if (!isRecord(value)) return undefined;
  switch (value["type"]) {
    case "focus":
    case "blur":
    case "clear":
      return { type: value["type"] };
    case "update":
      return isRecord(value["options"]) ? { type: "update", options: value["options"] as FrameOptions } : undefined;
    case "session":
      return typeof value["session"] === "string" ? { type: "session", session: value["session"] } : undefined;
    case "tokenize": {
      const { id, request } = value;
      return isId(id) && isTokenizeRequest(request) ? { type: "tokenize", id, request } : undefined;
    }
    case "seal_cvc": {
      const { id, paymentMethod } = value;
      const named = typeof paymentMethod === "string" && /^pm_[0-9a-f]{32}$/.test(paymentMethod);
      return isId(id) && named ? { type: "seal_cvc", id, paymentMethod } : undefined;
    }
    default:
      return undefined;
  }
}

/** The first message, or nothing for what is none. */
export function helloOf(value: unknown): Hello | undefined {
  if (!isRecord(value) || value["strongroom"] !== PROTOCOL) return undefined;
  const { kind, session, options } = value;
  const known = kind === "card" || kind === "cvc";
  if (!known || typeof session !== "string" || !isRecord(options)) return undefined;
  return { strongroom: PROTOCOL, kind, session, options: options as FrameOptions };
}

/** Whether a value is what a card may be stored with. */
export function isTokenizeRequest(value: unknown): value is TokenizeRequest {
  if (!isRecord(value)) return false;
  const { customer, storage, metadata, ...others } = value;
  const notes = metadata === undefined || (isRecord(metadata) && Object.values(metadata).every((note) => typeof note === "string"));
  return (
    Object.keys(others).length === 0 &&
    (customer === undefined || typeof customer === "string") &&
    (storage === undefined || storage === "long_term" || storage === "short_term") &&
    notes
  );
}

/** Whether a value is a stored card and nothing more than that. */
export function isTokenizeResult(value: unknown): value is TokenizeResult {
  if (!isRecord(value) || typeof value["payment_method_id"] !== "string" || !isRecord(value["card"])) return false;
  const { brand, last4, exp_month, exp_year } = value["card"];
  return (
    isBrand(brand) &&
    typeof last4 === "string" &&
    /^[0-9]{4}$/.test(last4) &&
    isCount(exp_month, 12) &&
    isCount(exp_year, 9999) &&
    (value["cvc_token"] === undefined || typeof value["cvc_token"] === "string")
  );
}

/** Whether a value is a sealed CVC. */
export function isCvcResult(value: unknown): value is CvcResult {
  return isRecord(value) && value["payment_method_id"] === undefined && typeof value["cvc_token"] === "string";
}

function isChange(value: unknown): value is Change {
  if (!isRecord(value) || !isRecord(value["errors"])) return false;
  return (
    (value["kind"] === "card" || value["kind"] === "cvc") &&
    isBrand(value["brand"]) &&
    typeof value["complete"] === "boolean" &&
    typeof value["empty"] === "boolean" &&
    Object.entries(value["errors"]).every(([field, code]) => isField(field) && isFailure({ code, message: "" }))
  );
}

/** Whether a value is an object with members. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is number {
  return isCount(value, Number.MAX_SAFE_INTEGER);
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}

/** The version of this protocol; a frame and a loader of different versions do not talk. */
export const PROTOCOL = 1;

/** The tallest that a frame may make itself, in pixels. */
export const HEIGHT_MAX = 1000;
