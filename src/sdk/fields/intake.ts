// Posts to the vault's intake: what is typed sealed, and a card with an idempotency key that a repeated request keeps, so that no card is stored twice.

import type { Failure, FailureCode } from "../shared/failure";
import { isCvcResult, isRecord, isTokenizeResult, type CvcResult, type TokenizeRequest, type TokenizeResult } from "../shared/protocol";
import { isIntakeKey, seal, sealCvc, sessionFacts, type IntakeKey, type PlainCard } from "./seal";

/** A failure on its way to the page, without words yet. */
export interface Fault extends Pick<Failure, "field" | "requestId"> {
  readonly code: FailureCode;
}

/** A call's end. */
export type Outcome<T> = { readonly result: T } | { readonly fault: Fault };

/** What a request needs of the world; tests give their own. */
export interface World {
  readonly fetch: typeof fetch;
  readonly pause: (ms: number) => Promise<void>;
  readonly newKey: () => string;
}

/** One way to the intake. It keeps a sealed request whose answer got lost, and never a card. */
export class Intake {
  private kept: Kept | undefined;

  constructor(private readonly world: World) {}

  /** What was typed is different now: a lost request is about another card. */
  forget(): void {
    this.kept = undefined;
  }

  /** Stores a card. Called again after `network` with the same card, it asks for the answer of the first request. */
  async tokenize(card: () => PlainCard, session: string, request: TokenizeRequest): Promise<Outcome<TokenizeResult>> {
    const id = sessionFacts(session)?.id;
    if (id === undefined) return { fault: { code: "session_expired" } };
    for (let round = 0; round < SEALINGS_MAX; round += 1) {
      const made = await this.sealed(card, id, request, round > 0);
      if ("fault" in made) return made;
      const answer = await this.post(PATH, session, made.result.body, made.result.key);
      if ("fault" in answer) return answer;
      const { status, body } = answer.result;
      if (status === 200 || status === 201) {
        this.forget();
        const stored = masked(body);
        return stored === undefined ? { fault: { code: "unavailable" } } : { result: stored };
      }
      this.forget();
      // The key was exchanged, or the answer of an earlier sealing is not kept: once more, sealed anew.
      if (status !== 409 || !SEAL_ANEW.includes(slugOf(body))) return { fault: faultOf(answer.result) };
    }
    return { fault: { code: "unavailable" } };
  }

  /** Hands in the CVC of a stored card, sealed here to the vault, and gets it sealed by the vault for one use. */
  async sealCvc(paymentMethod: string, cvc: () => string, session: string): Promise<Outcome<CvcResult>> {
    const id = sessionFacts(session)?.id;
    if (id === undefined) return { fault: { code: "session_expired" } };
    for (let round = 0; round < SEALINGS_MAX; round += 1) {
      const key = await this.key(round > 0);
      if ("fault" in key) return key;
      const encrypted_cvc = await sealCvc(cvc(), paymentMethod, key.result, id);
      const answer = await this.post(`${PATH}/${paymentMethod}/cvc`, session, JSON.stringify({ encrypted_cvc }), undefined);
      if ("fault" in answer) return answer;
      const { status, body } = answer.result;
      if (status === 200) return isCvcResult(body) ? { result: { cvc_token: body.cvc_token } } : { fault: { code: "unavailable" } };
      // The key was exchanged, or an answer got lost on its way and the sealing is used up: once more, sealed anew.
      if (status !== 409 || !SEAL_ANEW.includes(slugOf(body))) return { fault: faultOf(answer.result) };
    }
    return { fault: { code: "unavailable" } };
  }

  /** The key that is sealed to; the browser keeps it as long as the vault says. `anew` asks past the browser's cache. */
  async key(anew: boolean): Promise<Outcome<IntakeKey>> {
    const answer = await this.send("/v1/intake-key", { cache: anew ? "reload" : "default" });
    if ("fault" in answer) return answer;
    if (answer.result.status !== 200) return { fault: faultOf(answer.result) };
    return isIntakeKey(answer.result.body) ? { result: answer.result.body } : { fault: { code: "unavailable" } };
  }

  private async sealed(
    card: () => PlainCard,
    id: string,
    request: TokenizeRequest,
    anew: boolean,
  ): Promise<Outcome<Kept>> {
    const about = JSON.stringify([id, request.customer, request.storage, request.metadata]);
    if (this.kept !== undefined && this.kept.about === about) return { result: this.kept };
    const key = await this.key(anew);
    if ("fault" in key) return key;
    const encrypted_card = await seal(card(), key.result, id);
    const body = JSON.stringify({
      type: "card",
      encrypted_card,
      ...(request.customer === undefined ? {} : { customer_id: request.customer }),
      ...(request.storage === undefined ? {} : { storage: request.storage }),
      ...(request.metadata === undefined ? {} : { metadata: request.metadata }),
    });
    this.kept = { about, body, key: this.world.newKey() };
    return { result: this.kept };
  }

  private post(path: string, session: string, body: string, key: string | undefined): Promise<Outcome<Answer>> {
    const headers: Record<string, string> = { Authorization: `Bearer ${session}`, "Content-Type": "application/json" };
    if (key !== undefined) headers["Idempotency-Key"] = key;
    return this.send(path, { method: "POST", headers, body, cache: "no-store" });
  }

  /** One request, repeated where its answer got lost or the vault asks for a moment. */
  private async send(path: string, init: RequestInit): Promise<Outcome<Answer>> {
    let fault: Fault = { code: "network" };
    for (const wait of [...PAUSES_MS, undefined]) {
      const abort = new AbortController();
      const timer = setTimeout(() => abort.abort(), ANSWER_WITHIN_MS);
      let pause = wait;
      try {
        const answer = await this.world.fetch(path, {
          ...init,
          credentials: "omit",
          redirect: "error",
          referrerPolicy: "no-referrer",
          signal: abort.signal,
        });
        const read: Answer = {
          status: answer.status,
          body: await answer.json(),
          requestId: answer.headers.get("x-request-id") ?? undefined,
        };
        const asked = Number(answer.headers.get("retry-after") ?? "0");
        if (!AGAIN.includes(answer.status) || asked * 1000 > PAUSE_MS_MAX) return { result: read };
        fault = faultOf(read);
        if (wait !== undefined) pause = Math.max(wait, asked * 1000);
      } catch {
        fault = { code: "network" };
      } finally {
        clearTimeout(timer);
      }
      if (pause !== undefined) await this.world.pause(pause);
    }
    return { fault };
  }
}

interface Kept {
  /** The session and all of the request but the card. */
  readonly about: string;
  /** The request's body; the card in it is sealed. */
  readonly body: string;
  /** Its idempotency key. */
  readonly key: string;
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly requestId: string | undefined;
}

/** What the page may see of a stored card. */
function masked(body: unknown): TokenizeResult | undefined {
  if (!isTokenizeResult(body)) return undefined;
  const { brand, last4, exp_month, exp_year } = body.card;
  const card = { brand, last4, exp_month, exp_year };
  const { payment_method_id, cvc_token } = body;
  return cvc_token === undefined ? { payment_method_id, card } : { payment_method_id, card, cvc_token };
}

function slugOf(body: unknown): string {
  const type = isRecord(body) ? body["type"] : undefined;
  return typeof type === "string" ? type.slice(type.lastIndexOf(":") + 1) : "";
}

/** What an answer of the vault means to the page. */
function faultOf(answer: Answer): Fault {
  const more = answer.requestId === undefined ? {} : { requestId: answer.requestId };
  const field = isRecord(answer.body) ? fieldOf(answer.body["field"]) : undefined;
  const at = field === undefined ? {} : { field };
  switch (slugOf(answer.body)) {
    case "invalid-card":
      return { code: "card_refused", ...at, ...more };
    case "session-invalid":
      return { code: "session_expired", ...more };
    case "quota-exceeded":
      return { code: "session_used_up", ...more };
    case "rate-limited":
      return { code: "rate_limited", ...more };
    default:
      return { code: answer.status >= 500 ? "unavailable" : "invalid_request", ...more };
  }
}

function fieldOf(name: unknown): Failure["field"] {
  if (typeof name !== "string") return undefined;
  if (name.endsWith("number")) return "number";
  if (name.includes("exp_")) return "expiry";
  if (name.endsWith("cvc")) return "cvc";
  return name.endsWith("holder_name") ? "name" : undefined;
}

const PATH = "/v1/payment_methods";
const SEAL_ANEW = ["intake-key-gone", "sealed-card-used"];
/** How often one call seals: at first, and once after the key was exchanged. */
const SEALINGS_MAX = 2;
const AGAIN = [429, 502, 503, 504];
const PAUSES_MS = [400, 1200];
const PAUSE_MS_MAX = 5000;
const ANSWER_WITHIN_MS = 20_000;
