// Answers of the payments API, read strictly: what a sheet shows is what was checked here.

import { isBrand, type Brand } from "../shared/brands";
import { isRecord } from "../shared/protocol";
import { STATUSES, type PaymentStatus, type PaymentView } from "../shared/payments";

/** A saved card of the customer, masked. */
export interface SavedCard {
  /** `pm_...`. */
  readonly id: string;
  /** Its short-lived name for a confirmation. */
  readonly token: string;
  readonly brand: Brand;
  readonly last4: string;
  readonly month: number;
  readonly year: number;
  readonly isDefault: boolean;
  /** Whether its CVC is asked for. */
  readonly asksCvc: boolean;
}

/** A payment, or nothing for what is none. */
export function paymentOf(value: unknown): PaymentView | undefined {
  if (!isRecord(value)) return undefined;
  const { payment_id, status, amount, currency } = value;
  const known = STATUSES.some((one) => one === status);
  if (typeof payment_id !== "string" || !known || typeof amount !== "number" || typeof currency !== "string") return undefined;
  const action = isRecord(value["next_action"]) ? value["next_action"]["redirect_to_url"] : undefined;
  return {
    payment_id,
    status: status as PaymentStatus,
    amount,
    currency,
    ...texts(value, ["customer_id", "payment_method_id", "return_url", "setup_future_usage", "payment_type", "error_code", "error_message"]),
    ...(typeof action === "string" ? { redirect_to_url: action } : {}),
    ...cardOf(value["payment_method_data"]),
  };
}

/** A list of saved cards, or nothing for what is none. */
export function cardsOf(value: unknown): { readonly cards: readonly SavedCard[]; readonly guest: boolean } | undefined {
  if (!isRecord(value) || !Array.isArray(value["customer_payment_methods"])) return undefined;
  const cards = value["customer_payment_methods"].map(savedOf).filter((card): card is SavedCard => card !== undefined);
  return { cards, guest: value["is_guest_customer"] === true };
}

/** Whether a card's last month is over. It is good until that month has ended everywhere. */
export function isExpired(card: { readonly month: number; readonly year: number }, nowMs: number): boolean {
  const last = new Date(nowMs - LAST_ZONE_BEHIND_UTC_MS);
  return card.year * 12 + card.month - 1 < last.getUTCFullYear() * 12 + last.getUTCMonth();
}

/** The brand behind the name of a card network, as this API writes it (`AmericanExpress`). */
export function brandOf(network: unknown): Brand {
  const word = typeof network === "string" ? network.toLowerCase().replace(/[^a-z]/g, "") : "";
  if (isBrand(word)) return word;
  return OTHER_NAMES[word] ?? "unknown";
}

function savedOf(value: unknown): SavedCard | undefined {
  if (!isRecord(value) || !isRecord(value["card"])) return undefined;
  const { payment_method_id: id, payment_token: token, card } = value;
  const { last4_digits: last4, expiry_month, expiry_year } = card;
  const [month, year] = [Number(expiry_month), Number(expiry_year)];
  const isDated = Number.isInteger(month) && month >= 1 && month <= 12 && Number.isInteger(year);
  if (typeof id !== "string" || typeof token !== "string" || typeof last4 !== "string" || !/^[0-9]{4}$/.test(last4) || !isDated) return undefined;
  return {
    id,
    token,
    brand: brandOf(card["card_network"]),
    last4,
    month,
    year,
    isDefault: value["default_payment_method_set"] === true,
    asksCvc: value["requires_cvv"] !== false,
  };
}

function cardOf(value: unknown): Pick<PaymentView, "card"> {
  const card = isRecord(value) && isRecord(value["card"]) ? value["card"] : undefined;
  const last4 = card?.["last4"];
  if (card === undefined || typeof last4 !== "string") return {};
  return { card: { brand: brandOf(card["card_network"]), last4 } };
}

function texts<Name extends string>(value: Record<string, unknown>, names: readonly Name[]): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const text = value[name];
    if (typeof text === "string") found[name] = text;
  }
  return found;
}

const OTHER_NAMES: Readonly<Record<string, Brand>> = { americanexpress: "amex", dinersclub: "diners" };
const LAST_ZONE_BEHIND_UTC_MS = 12 * 3600 * 1000;
