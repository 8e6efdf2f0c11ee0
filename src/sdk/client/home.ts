// Where a payer goes on to, and which language a page speaks.

import { localeOf, type Locale } from "../shared/locale";
import type { PaymentView } from "../shared/payments";
import { isWeb } from "./confirm";

/** The shop's address, with the payment's name and standing as a redirect brings them; nothing where there is none. */
export function homeOf(payment: PaymentView | undefined, returnUrl: string | undefined): string | undefined {
  const to = returnUrl ?? payment?.return_url;
  if (to === undefined || payment === undefined || !isWeb(to)) return undefined;
  const url = new URL(to);
  url.searchParams.set("payment_id", payment.payment_id);
  url.searchParams.set("status", payment.status);
  return url.href;
}

/** The language that is asked for, or the page's, or the browser's. */
export function pageLocale(tag?: string): Locale {
  const page = document.documentElement.lang;
  return localeOf(tag ?? (page === "" ? "auto" : page), navigator.languages);
}

/** The tag for amounts and dates: with its region where one is told, such as `de-AT`. */
export function formatTag(tag: string | undefined, locale: Locale): string {
  const told = [tag, document.documentElement.lang, ...navigator.languages];
  return told.find((one) => one !== undefined && one.toLowerCase().split(/[-_]/)[0] === locale)?.replace("_", "-") ?? locale;
}
