// What can go wrong, in words that a shop's code can act on: one closed list of codes, and a message for people.

/** Why something did not work. */
export type FailureCode =
  /** A field is empty or not typed to its end. */
  | "incomplete_number"
  | "incomplete_expiry"
  | "incomplete_cvc"
  | "incomplete_name"
  /** A field holds what cannot be right. */
  | "invalid_number"
  | "invalid_expiry"
  | "invalid_cvc"
  | "invalid_name"
  /** The card's last month is over. */
  | "expired_card"
  /** The shop does not take this brand. */
  | "brand_not_accepted"
  /** The vault refused the card. */
  | "card_refused"
  /** The session ended, was made for another page, or is not valid: get a new one and call `renew`. */
  | "session_expired"
  /** The session stored as many cards as it may. */
  | "session_used_up"
  /** The vault was not reached, or its answer got lost: calling again is safe and never stores a card twice. */
  | "network"
  /** Too many requests from this address; try again later. */
  | "rate_limited"
  /** The vault cannot work now; try again later. */
  | "unavailable"
  /** The frame did not come up: is this page among the session's allowed origins? */
  | "frame_unavailable"
  /** The call itself is wrong; the message says how. */
  | "invalid_request"
  /** The element is not mounted, or was unmounted while it worked. */
  | "not_mounted"
  /** The payments part could not be fetched, or is not the one that belongs to this loader. */
  | "payments_unavailable";

/** The fields of a card element. */
export type Field = "number" | "expiry" | "cvc" | "name";

/** A failure as it travels between the frames. */
export interface Failure {
  readonly code: FailureCode;
  /** For people, in the language of the element where it comes from one. */
  readonly message: string;
  /** The field at fault. */
  readonly field?: Field;
  /** The request's id in the vault's log. */
  readonly requestId?: string;
}

/** What promises of the SDK reject with. It never holds what was typed. */
export class StrongroomError extends Error implements Failure {
  override readonly name = "StrongroomError";
  readonly code: FailureCode;
  readonly field?: Field;
  readonly requestId?: string;

  constructor(failure: Failure) {
    super(failure.message);
    this.code = failure.code;
    if (failure.field !== undefined) this.field = failure.field;
    if (failure.requestId !== undefined) this.requestId = failure.requestId;
  }

  /** Whether the same call may work later, without the customer typing anything anew. */
  get retryable(): boolean {
    return RETRYABLE.has(this.code);
  }
}

/** A call that is wrong in itself. */
export function wrong(message: string): StrongroomError {
  return new StrongroomError({ code: "invalid_request", message });
}

/** Whether a value from another frame is a failure. */
export function isFailure(value: unknown): value is Failure {
  if (typeof value !== "object" || value === null) return false;
  const { code, message, field, requestId } = value as Record<string, unknown>;
  return (
    typeof code === "string" &&
    CODES.has(code as FailureCode) &&
    typeof message === "string" &&
    (field === undefined || isField(field)) &&
    (requestId === undefined || typeof requestId === "string")
  );
}

/** Whether a text names a field. */
export function isField(value: unknown): value is Field {
  return value === "number" || value === "expiry" || value === "cvc" || value === "name";
}

/** Every code there is. */
export const CODES: ReadonlySet<FailureCode> = new Set<FailureCode>([
  "incomplete_number",
  "incomplete_expiry",
  "incomplete_cvc",
  "incomplete_name",
  "invalid_number",
  "invalid_expiry",
  "invalid_cvc",
  "invalid_name",
  "expired_card",
  "brand_not_accepted",
  "card_refused",
  "session_expired",
  "session_used_up",
  "network",
  "rate_limited",
  "unavailable",
  "frame_unavailable",
  "invalid_request",
  "not_mounted",
  "payments_unavailable",
]);

const RETRYABLE: ReadonlySet<FailureCode> = new Set<FailureCode>(["network", "rate_limited", "unavailable", "session_expired"]);
