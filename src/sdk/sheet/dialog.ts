// 3-D Secure in a frame: a modal dialog around the bank's page, which may do in it what a page must and nothing to the shop's.

import type { Ended } from "../client/confirm";
import { directionOf, type Locale } from "../shared/locale";
import { isRecord } from "../shared/protocol";
import { dress, type Looks } from "./looks";
import { element } from "./dom";
import { WORDS } from "./words";

/** What the dialog is about. */
export interface Question {
  /** The bank's page. */
  readonly url: string;
  readonly paymentId: string;
  /** The origin of the payments API, whose page at the end says that it is over. */
  readonly api: string;
  readonly locale: Locale;
  readonly looks: Looks;
  /** Whether the API knows an end, in case that nobody says so. */
  readonly isOver: () => Promise<boolean>;
  /** Has the whole window go to the bank instead. */
  readonly leave: () => void;
  /** Closes the dialog when the page around it goes away. */
  readonly gone?: AbortSignal;
}

/** Shows the bank's page until the payer is back from it, or closes it. */
export function verifyInDialog(question: Question): Promise<Ended> {
  const words = WORDS[question.locale];
  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  dress(root, host, question.looks);
  const dialog = element("dialog", { class: "dialog", "aria-labelledby": "sr-verify", lang: question.locale, dir: directionOf(question.locale) });
  const title = element("h2", { id: "sr-verify", class: "dialog-title", tabindex: "-1" }, words.dialogTitle);
  const close = element("button", { type: "button", class: "quiet" }, words.dialogCancel);
  const whole = element("button", { type: "button", class: "quiet" }, words.dialogWhole);
  const frame = element("iframe", {
    title: words.dialogTitle,
    class: "bank",
    // The bank's page keeps its own origin and scripts; it cannot send the shop's window elsewhere.
    sandbox: "allow-forms allow-scripts allow-same-origin allow-popups allow-popups-to-escape-sandbox",
    allow: "publickey-credentials-get *; payment *",
    referrerpolicy: "no-referrer",
  });
  dialog.append(element("div", { class: "dialog-head" }, title, close), frame, element("div", { class: "dialog-foot" }, whole));
  root.append(dialog);
  document.body.append(host);
  frame.src = question.url;
  return new Promise((done) => {
    let open = true;
    const end = (ended: Ended): void => {
      if (!open) return;
      open = false;
      removeEventListener("message", hear);
      clearTimeout(timer);
      dialog.close();
      host.remove();
      done(ended);
    };
    const hear = (event: MessageEvent<unknown>): void => {
      // The page at the end of the way back, in our frame, about our payment. What it says is asked about, not believed.
      if (event.origin === question.api && event.source === frame.contentWindow && isEnd(event.data, question.paymentId)) end("returned");
    };
    let timer = setTimeout(function look() {
      question.isOver().then(
        (over) => {
          if (over) end("returned");
          else if (open) timer = setTimeout(look, LOOK_MS);
        },
        () => {
          if (open) timer = setTimeout(look, LOOK_MS);
        },
      );
    }, LOOK_MS);
    addEventListener("message", hear);
    question.gone?.addEventListener("abort", () => end("cancelled"));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      end("cancelled");
    });
    close.addEventListener("click", () => end("cancelled"));
    whole.addEventListener("click", () => question.leave());
    dialog.showModal();
    // Not into the frame: there Escape would be the bank's.
    title.focus();
  });
}

/** Whether a message is the end of this payment's authentication. */
export function isEnd(message: unknown, paymentId: string): boolean {
  return (
    isRecord(message) && message["source"] === "strongroom" && message["type"] === "authentication" && message["payment_id"] === paymentId
  );
}

/** How often the API is asked whether it is over: rarely, because mostly somebody says so. */
const LOOK_MS = 6000;
