// What a status or a fault means to the payer, and which sentence says so.

import { isFailure } from "../shared/failure";
import type { PaymentError, PaymentErrorType, PaymentView } from "../shared/payments";
import type { Words } from "../sheet/words";
import { ApiFault } from "./api";

/** How far a payment is. */
export type Standing = "open" | "away" | "working" | "paid" | "over";

/** How far a payment is, from where a page stands: paid is also what is reserved and captured later. */
export function standingOf(payment: PaymentView): Standing {
  switch (payment.status) {
    case "requires_payment_method":
    case "requires_confirmation":
      return "open";
    case "requires_customer_action":
      return "away";
    case "processing":
      return "working";
    case "succeeded":
    case "requires_capture":
    case "partially_captured":
    case "partially_captured_and_capturable":
      return "paid";
    default:
      return "over";
  }
}

/** The error of a payment that is over without money. */
export function overError(payment: PaymentView, words: Words): PaymentError {
  if (payment.status === "cancelled") return error("state", "cancelled", words.cancelled);
  if (payment.status === "expired") return error("expired", "expired", words.expiredText);
  const code = payment.error_code ?? "declined";
  return error("declined", code, declineText(`${code} ${payment.error_message ?? ""}`, words));
}

/** The error behind what was thrown. */
export function errorOf(fault: unknown, words: Words): PaymentError {
  if (fault instanceof ApiFault) return ofApi(fault, words);
  // Elements come from the loader, which is another file: its class of errors is not the one that this file would know.
  if (!isFailure(fault)) throw fault;
  const more = fault.field === undefined ? {} : { field: fault.field };
  switch (fault.code) {
    case "network":
      return error("network", fault.code, words.network);
    case "rate_limited":
    case "unavailable":
    case "frame_unavailable":
    case "payments_unavailable":
      return error("unavailable", fault.code, words.unavailable);
    case "session_expired":
      return error("expired", fault.code, words.expiredText);
    case "invalid_request":
    case "not_mounted":
      return error("configuration", fault.code, fault.message);
    default:
      // The vault's fields say it in the payer's language.
      return { ...error("card", fault.code, fault.message), ...more };
  }
}

/** The payment's old CVC, or none came: it is typed again. */
export function cvcAgain(words: Words): PaymentError {
  return { ...error("card", "cvc_needed", words.cvcAgain), field: "cvc" };
}

/** An error. */
export function error(type: PaymentErrorType, code: string, message: string): PaymentError {
  return { type, code, message };
}

/** Whether the API asks for a CVC: none came, or the one that came was used or is too old. */
export function asksCvc(fault: ApiFault): boolean {
  return (fault.code === "IR_16" || fault.code === "IR_04") && /cvc/i.test(fault.message);
}

function ofApi(fault: ApiFault, words: Words): PaymentError {
  if (fault.code === "network") return error("network", fault.code, words.network);
  if (fault.code === "IR_08") return error("expired", fault.code, words.expiredText);
  if (fault.lost) return error("unavailable", fault.code, words.unavailable);
  if (fault.code === "IR_25") return error("state", fault.code, words.defaultStays);
  if (fault.code === "IR_39") return error("card", fault.code, words.otherCard);
  if (fault.code === "IR_16") return error("state", fault.code, words.generic);
  if (fault.code === "HE_02") return error("card", fault.code, words.cardGone);
  return error("configuration", fault.code, fault.message);
}

/** Reasons that help the payer and tell nobody else's secret; everything else is one sentence. */
function declineText(reason: string, words: Words): string {
  if (/insufficient/i.test(reason)) return words.noFunds;
  if (/expired/i.test(reason)) return words.cardExpired;
  if (/cvc|cvv|security_code/i.test(reason)) return words.cvcWrong;
  return words.declined;
}
