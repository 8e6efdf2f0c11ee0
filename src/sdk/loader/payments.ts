// Fetches `payments.js` from the same folder of the vault, with the hash that it had when this loader was built.

import { StrongroomError } from "../shared/failure";
import type { MakePayments } from "../shared/payments";

/** Loads the file once for each page. */
export function loadPayments(vault: string): Promise<MakePayments> {
  const present = made();
  if (present !== undefined) return Promise.resolve(present);
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = `${vault}/sdk/${__VERSION__}/payments.js`;
    script.integrity = __PAYMENTS_INTEGRITY__;
    script.crossOrigin = "anonymous";
    const lost = (): void => {
      script.remove();
      failed(new StrongroomError({ code: "payments_unavailable", message: "payments.js was not fetched, or is not the right one" }));
    };
    script.onload = () => {
      const make = made();
      if (make === undefined) lost();
      else done(make);
    };
    script.onerror = lost;
    document.head.append(script);
  });
}

function made(): MakePayments | undefined {
  return (globalThis as { StrongroomPayments?: MakePayments }).StrongroomPayments;
}
