// The way to the bank: in a frame of this page, or with the whole window.

import type { Locale } from "../shared/locale";
import { verifyInDialog } from "../sheet/dialog";
import type { Looks } from "../sheet/looks";
import type { Ended, Parts } from "./confirm";
import { keep } from "./keep";

/** How the payer is sent to the bank from this page. */
export function authenticator(
  secret: string,
  by: "frame" | "redirect",
  api: string,
  locale: Locale,
  looks: Looks,
  /** Closes the bank's page when the one around it goes away. */
  gone?: AbortSignal,
): Parts["authenticate"] {
  return (url, paymentId, isOver) => {
    const leave = (): void => {
      keep(secret);
      location.assign(url);
    };
    if (by === "frame") return verifyInDialog({ url, paymentId, api, locale, looks, isOver, leave, ...(gone === undefined ? {} : { gone }) });
    leave();
    return back();
  };
}

/** The window is on its way. It comes back here only by the browser's history, with this page as it was. */
function back(): Promise<Ended> {
  return new Promise((done) => {
    addEventListener("pageshow", (event) => {
      if (event.persisted) done("away");
    });
  });
}
