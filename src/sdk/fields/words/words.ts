// What each language has to say; the compiler and a test hold every language to it.

/** The texts of the fields in one language. */
export interface Words {
  readonly number: string;
  readonly expiry: string;
  readonly cvc: string;
  readonly name: string;
  /** Shown in the empty expiry field: month and year, two signs each. */
  readonly expiryHint: string;
  /** Read to people who listen, at the CVC: where it stands on the card. */
  readonly cvcBack: string;
  readonly cvcFront: string;
  readonly incomplete_number: string;
  readonly incomplete_expiry: string;
  readonly incomplete_cvc: string;
  readonly incomplete_name: string;
  readonly invalid_number: string;
  readonly invalid_expiry: string;
  readonly invalid_cvc: string;
  readonly invalid_name: string;
  readonly expired_card: string;
  readonly brand_not_accepted: string;
  readonly card_refused: string;
  readonly session_expired: string;
  readonly session_used_up: string;
  readonly network: string;
  readonly rate_limited: string;
  readonly unavailable: string;
}
