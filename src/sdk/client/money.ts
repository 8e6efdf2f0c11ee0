// Amounts for people: integers in minor units, written as the language and the currency want it.

/** An amount such as `€12.50`; in plain digits where the browser does not know the currency. */
export function formatAmount(minor: number, currency: string, locale: string): string {
  try {
    const form = new Intl.NumberFormat(locale, { style: "currency", currency });
    const digits = form.resolvedOptions().maximumFractionDigits ?? 2;
    return form.format(minor / 10 ** digits);
  } catch {
    return `${minor} ${currency}`;
  }
}

/** A card's last month, such as `03/34`, the digits in the order and script of the language. */
export function formatExpiry(month: number, year: number, locale: string): string {
  const two = new Intl.NumberFormat(locale, { minimumIntegerDigits: 2, useGrouping: false });
  return `${two.format(month)}/${two.format(year % 100)}`;
}
