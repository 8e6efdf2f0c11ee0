// One confirmation from the click to the end: sent once however often it is asked for, followed through what the bank wants,
// and never believed lost while the API can be asked.

import type { ConfirmResult, PaymentView } from "../shared/payments";
import type { Words } from "../sheet/words";
import { ApiFault, type Api, type Confirm } from "./api";
import { asksCvc, cvcAgain, error, errorOf, overError, standingOf } from "./outcome";
import type { World } from "./world";

/** How an authentication on this page ended: `away` means that the window left and came back by the browser's history. */
export type Ended = "returned" | "cancelled" | "away";

/** What a confirmation needs. */
export interface Parts {
  readonly api: Api;
  readonly world: World;
  readonly words: Words;
  /** Has the payer authenticate at this address. */
  readonly authenticate: (url: string, paymentId: string, isOver: () => Promise<boolean>) => Promise<Ended>;
}

/** What is confirmed with. */
export interface Means {
  /** `pm_...`, of a card that was just stored; or the name of a saved card. */
  readonly card: { readonly id: string } | { readonly token: string };
  readonly cvcToken?: string;
  readonly save?: boolean;
  readonly returnUrl?: string;
  readonly inFrame: boolean;
  /** What the payer agrees to, where the merchant keeps the card. */
  readonly agrees?: boolean;
  readonly setupOnly?: boolean;
}

/** The body of a confirmation, with the key that belongs to it. */
export function confirmation(secret: string, means: Means, world: World, browser: Browser): Confirm {
  const agrees = means.save === true || means.agrees === true;
  const body = {
    client_secret: secret,
    payment_method: "card",
    ...("id" in means.card ? { payment_method_id: means.card.id } : { payment_token: means.card.token }),
    ...(means.cvcToken === undefined ? {} : { payment_method_data: { card_token: { cvc_token: means.cvcToken } } }),
    ...(means.save === true ? { setup_future_usage: "on_session" } : {}),
    ...(means.setupOnly === true ? { payment_type: "setup_mandate" } : {}),
    ...(agrees ? { customer_acceptance: acceptance(world.now(), browser) } : {}),
    ...(means.returnUrl === undefined ? {} : { return_url: means.returnUrl }),
    is_iframe_redirection_enabled: means.inFrame,
    browser_info: browser,
  };
  return { body: JSON.stringify(body), key: world.newKey() };
}

/** That the payer agreed, when and how. */
function acceptance(nowMs: number, { user_agent }: Browser): unknown {
  return { acceptance_type: "online", accepted_at: new Date(nowMs).toISOString(), online: { user_agent } };
}

/** What 3-D Secure wants to know about this browser, as the payments API spells it. */
export interface Browser {
  readonly user_agent: string;
  readonly language: string;
  readonly color_depth: number;
  readonly screen_height: number;
  readonly screen_width: number;
  readonly time_zone: number;
  readonly java_enabled: boolean;
  readonly java_script_enabled: boolean;
}

/** This browser, within what the API takes. */
export function browserInfo(): Browser {
  const depth = COLOR_DEPTHS.includes(screen.colorDepth) ? screen.colorDepth : 24;
  return {
    user_agent: navigator.userAgent.slice(0, USER_AGENT_CHARS_MAX),
    language: navigator.language || "en",
    color_depth: depth,
    screen_height: Math.min(Math.round(screen.height), SCREEN_MAX),
    screen_width: Math.min(Math.round(screen.width), SCREEN_MAX),
    time_zone: new Date().getTimezoneOffset(),
    java_enabled: false,
    java_script_enabled: true,
  };
}

/** Confirms and follows the payment until it is paid, over, or in the hands of somebody else. */
export async function confirmAndFollow(secret: string, confirm: Confirm, parts: Parts): Promise<ConfirmResult> {
  let payment: PaymentView;
  try {
    payment = await parts.api.confirm(secret, confirm);
  } catch (fault) {
    if (!(fault instanceof ApiFault)) throw fault;
    return afterRefusal(secret, fault, parts);
  }
  return follow(secret, payment, parts);
}

/** Follows a payment that was confirmed. */
export async function follow(secret: string, begun: PaymentView, parts: Parts): Promise<ConfirmResult> {
  try {
    let payment = begun;
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const standing = standingOf(payment);
      if (standing === "paid") return { payment };
      if (standing === "over") return { error: overError(payment, parts.words), payment };
      if (standing === "open") return { error: error("state", "not_confirmed", parts.words.generic), payment };
      if (standing === "working") {
        payment = await settled(secret, payment, parts);
        // Neither bad nor good: a provider takes its time. The shop hears of it by webhook.
        if (standingOf(payment) === "working") return { payment };
        continue;
      }
      const ended = await authenticated(secret, payment, parts);
      payment = await parts.api.payment(secret);
      if (standingOf(payment) !== "away") continue;
      if (ended === "returned") payment = await settled(secret, payment, parts);
      if (standingOf(payment) !== "away") continue;
      return { error: error("authentication", ended === "returned" ? "not_authenticated" : "cancelled", parts.words.notVerified), payment };
    }
    return { payment };
  } catch (fault) {
    return { error: errorOf(fault, parts.words) };
  }
}

/** The confirmation was refused or its answer is lost: how the payment stands says what that means. */
async function afterRefusal(secret: string, fault: ApiFault, parts: Parts): Promise<ConfirmResult> {
  const mayBeDone = fault.lost || fault.code === "IR_16";
  if (mayBeDone) {
    let payment: PaymentView;
    try {
      payment = await parts.api.payment(secret);
    } catch {
      return { error: errorOf(fault, parts.words) };
    }
    // Another window, or the lost request itself, confirmed it.
    if (standingOf(payment) !== "open") return follow(secret, payment, parts);
  }
  if (asksCvc(fault)) return { error: cvcAgain(parts.words) };
  return { error: errorOf(fault, parts.words) };
}

async function authenticated(secret: string, payment: PaymentView, parts: Parts): Promise<Ended> {
  const url = payment.redirect_to_url;
  if (url === undefined || !isWeb(url)) return "cancelled";
  const isOver = async (): Promise<boolean> => {
    const now = await parts.api.payment(secret);
    return standingOf(now) !== "away";
  };
  return parts.authenticate(url, payment.payment_id, isOver);
}

/** The payment as soon as it stands differently, or as it stands after a while. */
async function settled(secret: string, before: PaymentView, parts: Parts): Promise<PaymentView> {
  let payment = before;
  const standing = standingOf(before);
  const tries = standing === "working" ? SETTLE_TRIES : AWAY_TRIES;
  for (let pause = SETTLE_MS, round = 0; round < tries; round += 1, pause = Math.min(pause * 1.5, SETTLE_MS_MAX)) {
    await parts.world.pause(pause);
    payment = await parts.api.payment(secret);
    if (standingOf(payment) !== standing) break;
  }
  return payment;
}

/** An address that a window or frame may be sent to: nothing but the web. */
export function isWeb(text: string): boolean {
  try {
    const { protocol, hostname } = new URL(text);
    const local = hostname === "localhost" || hostname === "127.0.0.1" || hostname.endsWith(".localhost");
    return protocol === "https:" || (protocol === "http:" && local);
  } catch {
    return false;
  }
}

/** A payer who is asked more often than this is going in circles. */
const ROUNDS_MAX = 8;
const SETTLE_MS = 700;
const SETTLE_MS_MAX = 5000;
/** About a minute. */
const SETTLE_TRIES = 15;
/** What a provider needs to tell us what it told the payer's browser already. */
const AWAY_TRIES = 5;
const COLOR_DEPTHS = [1, 4, 8, 15, 16, 24, 30, 32, 48];
const USER_AGENT_CHARS_MAX = 1024;
const SCREEN_MAX = 99_999;
