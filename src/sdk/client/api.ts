// The payments API as a page speaks it: typed, patient, and safe to repeat. It holds a payment's client secret and no card.

import { isRecord } from "../shared/protocol";
import type { PaymentView } from "../shared/payments";
import { cardsOf, paymentOf, type SavedCard } from "./read";
import type { World } from "./world";

/** What the API refused, or that it was not reached. */
export class ApiFault extends Error {
  override readonly name = "ApiFault";

  constructor(
    /** The HTTP status; 0 where no answer came. */
    readonly status: number,
    /** The API's code (`IR_16`); `network` where no answer came. */
    readonly code: string,
    message: string,
  ) {
    super(message);
  }

  /** Whether nothing is known about what became of the request. */
  get lost(): boolean {
    return this.status === 0 || this.status >= 500 || this.status === 409 || this.status === 429;
  }
}

/** What is confirmed: body and idempotency key belong together and stay together. */
export interface Confirm {
  readonly body: string;
  readonly key: string;
}

/** One merchant's payments API. */
export class Api {
  constructor(
    private readonly base: string,
    private readonly key: string,
    private readonly world: World,
    /** Told when the network is away, and when it is back. */
    private readonly waiting: (offline: boolean) => void = () => undefined,
  ) {}

  /** The payment of a client secret. */
  async payment(secret: string): Promise<PaymentView> {
    return this.payable(await this.send("GET", `/payments/${idOf(secret)}?${query(secret)}`));
  }

  /** Confirms. The same confirmation may be sent again and is done once. */
  async confirm(secret: string, confirm: Confirm): Promise<PaymentView> {
    return this.payable(await this.send("POST", `/payments/${idOf(secret)}/confirm`, confirm.body, confirm.key));
  }

  /** A new client session of the vault, for this payment and the merchant's pages. */
  async vaultSession(secret: string): Promise<string> {
    const path = `/payments/${idOf(secret)}/vault_session`;
    const answer = await this.send("POST", path, JSON.stringify({ client_secret: secret }));
    const session = isRecord(answer) ? answer["client_secret"] : undefined;
    if (typeof session !== "string") throw strange();
    return session;
  }

  /** The customer's saved cards, the one used last first; none for a guest. */
  async savedCards(secret: string): Promise<{ readonly cards: readonly SavedCard[]; readonly guest: boolean }> {
    const read = cardsOf(await this.send("GET", `/customers/payment_methods?${query(secret)}`));
    if (read === undefined) throw strange();
    return read;
  }

  /** Removes a saved card for good. One that is gone already is fine. */
  async removeCard(secret: string, id: string): Promise<void> {
    try {
      await this.send("DELETE", `/customers/payment_methods/${encodeURIComponent(id)}?${query(secret)}`);
    } catch (fault) {
      if (!(fault instanceof ApiFault) || fault.status !== 404) throw fault;
    }
  }

  /** Makes a saved card the one that is offered first. */
  async makeDefault(secret: string, id: string): Promise<void> {
    const body = JSON.stringify({ client_secret: secret });
    await this.send("POST", `/customers/payment_methods/${encodeURIComponent(id)}/default`, body, this.world.newKey());
  }

  private payable(answer: unknown): PaymentView {
    const payment = paymentOf(answer);
    if (payment === undefined) throw strange();
    return payment;
  }

  /** One request; repeated where its answer got lost or the API asks for a moment. Without a network it waits for one. */
  private async send(method: string, path: string, body?: string, key?: string): Promise<unknown> {
    const until = this.world.now() + OFFLINE_MS_MAX;
    let fault = new ApiFault(0, "network", "the payments API was not reached; is this page's origin among the account's allowed_origins?");
    for (let tries = 0; tries <= PAUSES_MS.length; tries += 1) {
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(), ANSWER_WITHIN_MS);
      let pause = PAUSES_MS[tries];
      try {
        const answer = await this.world.fetch(`${this.base}${path}`, {
          method,
          headers: { "api-key": this.key, ...(body === undefined ? {} : JSON_BODY), ...(key === undefined ? {} : { "Idempotency-Key": key }) },
          ...(body === undefined ? {} : { body }),
          credentials: "omit",
          redirect: "error",
          cache: "no-store",
          referrerPolicy: "no-referrer",
          signal: abort.signal,
        });
        const read: unknown = await answer.json();
        if (answer.ok) return read;
        fault = faultOf(answer.status, read);
        if (!AGAIN.includes(answer.status)) throw fault;
        const asked = Number(answer.headers.get("retry-after") ?? "0") * 1000;
        if (pause !== undefined) pause = Math.min(Math.max(pause, asked || 0), PAUSE_MS_MAX);
      } catch (thrown) {
        if (thrown instanceof ApiFault) throw thrown;
        fault = new ApiFault(0, "network", fault.message);
        const left = until - this.world.now();
        if (!this.world.isOnline() && left > 0) {
          this.waiting(true);
          await this.world.onceOnline(left);
          this.waiting(false);
          // A pause that the network made is none of the tries.
          if (this.world.isOnline()) tries -= 1;
        }
      } finally {
        clearTimeout(timer);
      }
      if (pause !== undefined) await this.world.pause(pause);
    }
    throw fault;
  }
}

/** The payment that a client secret belongs to. */
export function idOf(secret: string): string {
  return secret.slice(0, Math.max(0, secret.indexOf("_secret_")));
}

/** Whether a text is a payment's client secret. */
export function isSecret(text: unknown): text is string {
  return typeof text === "string" && /^[A-Za-z0-9_-]{1,64}_secret_[A-Za-z0-9_-]{8,128}$/.test(text);
}

function query(secret: string): string {
  return `client_secret=${encodeURIComponent(secret)}`;
}

function faultOf(status: number, body: unknown): ApiFault {
  const error = isRecord(body) && isRecord(body["error"]) ? body["error"] : {};
  const text = (name: string): string => (typeof error[name] === "string" ? error[name] : "");
  return new ApiFault(status, text("code") || "unknown", text("message") || `the payments API answered ${status}`);
}

function strange(): ApiFault {
  return new ApiFault(502, "unknown", "the payments API answered something that is no answer");
}

const JSON_BODY = { "Content-Type": "application/json" };
/** Somebody else is at it, or the server cannot now: every request here may be sent again. */
const AGAIN = [409, 429, 500, 502, 503, 504];
const PAUSES_MS = [400, 1200, 3000];
const PAUSE_MS_MAX = 5000;
/** Longer than the server gives a provider. */
const ANSWER_WITHIN_MS = 45_000;
/** How long a request waits for a network that is away. */
const OFFLINE_MS_MAX = 10 * 60_000;
