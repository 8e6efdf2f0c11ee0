// The fields in English.

import type { Words } from "./words";

export const en: Words = {
  number: "Card number",
  expiry: "Expiry date",
  cvc: "Security code",
  name: "Name on card",
  expiryHint: "MM / YY",
  cvcBack: "Last 3 digits on the back of the card",
  cvcFront: "4 digits on the front of the card",
  incomplete_number: "Your card number is incomplete.",
  incomplete_expiry: "Your card’s expiry date is incomplete.",
  incomplete_cvc: "Your card’s security code is incomplete.",
  incomplete_name: "Please enter the name on your card.",
  invalid_number: "Your card number is not valid. Please check it.",
  invalid_expiry: "This is not a valid month and year.",
  invalid_cvc: "Your card’s security code is not valid.",
  invalid_name: "Please enter the name as it is printed on your card.",
  expired_card: "Your card has expired. Please use another one.",
  brand_not_accepted: "Cards of this kind are not accepted here.",
  card_refused: "This card was not accepted. Please check what you typed.",
  session_expired: "This page was open for too long. Please try again.",
  session_used_up: "Too many cards were entered. Please reload the page.",
  network: "There is no connection. Nothing was charged; please try again.",
  rate_limited: "Too many attempts. Please wait a moment and try again.",
  unavailable: "Cards cannot be taken at the moment. Please try again shortly.",
};
