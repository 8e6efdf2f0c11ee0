// The payment sheet: between the state, the view, the vault's fields and the payments API.

import { Api, ApiFault, isSecret, type Confirm } from "../client/api";
import { authenticator } from "../client/authenticate";
import { browserInfo, confirmAndFollow, confirmation, follow, isWeb, type Means, type Parts } from "../client/confirm";
import { formatTag, homeOf, pageLocale } from "../client/home";
import { error, errorOf, standingOf } from "../client/outcome";
import { isExpired, type SavedCard } from "../client/read";
import type { VaultSessions } from "../client/sessions";
import type { World } from "../client/world";
import { faultOf } from "../shared/appearance";
import { wrong } from "../shared/failure";
import type { Locale } from "../shared/locale";
import type {
  ConfirmResult,
  HostedElement,
  PaymentError,
  PaymentView,
  PaymentsSetup,
  SheetElement,
  SheetEvents,
  SheetOptions,
} from "../shared/payments";
import { chosenCard, mayPay, reduce, START, type Action, type Choice, type State } from "./state";
import { View } from "./view";
import { WORDS, type Words } from "./words";

/** A sheet of one payment, or of the payments that follow it for the same order. */
export class Sheet implements SheetElement {
  private readonly api: Api;
  private readonly view: View;
  private readonly words: Words;
  private readonly locale: Locale;
  private readonly listeners = new Map<keyof SheetEvents, Set<(event: never) => void>>();
  private state: State = START;
  private card: HostedElement | undefined;
  private cvc: { readonly id: string; readonly element: HostedElement } | undefined;
  /** A confirmation whose end is not known, and what it was about. */
  private lost: Asked | undefined;
  private told: State["phase"] | undefined;
  /** While the sheet stands on a page. */
  private stay: AbortController | undefined;

  constructor(
    private secret: string,
    private readonly options: SheetOptions,
    private readonly around: Around,
  ) {
    const { setup, world } = around;
    checkOptions(options);
    this.locale = pageLocale(options.locale);
    this.words = WORDS[this.locale];
    this.api = new Api(setup.api, setup.key, world, (offline) => this.act({ type: "offline", offline }));
    const settings = {
      locale: this.locale,
      tag: formatTag(options.locale, this.locale),
      looks: options.appearance ?? {},
      offersSave: options.save !== false,
      hasHome: options.returnUrl !== undefined,
      canRenew: options.newPayment !== undefined,
    };
    this.view = new View(settings, {
      choose: (id) => this.choose({ kind: "saved", id }),
      chooseNew: () => this.choose({ kind: "new" }),
      save: (save) => this.act({ type: "save", save }),
      manage: (managing) => this.act({ type: "managing", managing }),
      askRemove: (id) => this.act({ type: "asking", id }),
      remove: (id) => void this.change(id, "removed"),
      makeDefault: (id) => void this.change(id, "defaulted"),
      pay: () => void this.pay(),
      next: () => void this.next(),
    });
  }

  mount(target: string | HTMLElement): this {
    const place = typeof target === "string" ? document.querySelector<HTMLElement>(target) : target;
    if (place === null) throw wrong(`no element of the page matches ${JSON.stringify(target)}`);
    if (this.stay !== undefined) throw wrong("this sheet is mounted already; unmount it first");
    this.stay = new AbortController();
    const { signal } = this.stay;
    addEventListener("offline", () => this.act({ type: "offline", offline: true }), { signal });
    addEventListener("online", () => this.act({ type: "offline", offline: false }), { signal });
    place.append(this.view.host);
    this.view.show(this.state);
    void this.load();
    return this;
  }

  unmount(): void {
    this.stay?.abort();
    this.stay = undefined;
    this.dropFields();
    this.view.host.remove();
    this.state = START;
    this.told = undefined;
  }

  destroy(): void {
    this.unmount();
    this.listeners.clear();
  }

  on<Name extends keyof SheetEvents>(name: Name, listener: (event: SheetEvents[Name]) => void): this {
    const known = this.listeners.get(name) ?? new Set();
    known.add(listener as (event: never) => void);
    this.listeners.set(name, known);
    return this;
  }

  off<Name extends keyof SheetEvents>(name: Name, listener: (event: SheetEvents[Name]) => void): this {
    this.listeners.get(name)?.delete(listener as (event: never) => void);
    return this;
  }

  /** Asks how the payment stands and which cards there are. */
  private async load(): Promise<void> {
    const { secret } = this;
    try {
      const payment = await this.api.payment(secret);
      const isOpen = standingOf(payment) === "open";
      const cards = isOpen && payment.customer_id !== undefined ? await this.savedCards() : [];
      if (secret !== this.secret) return;
      this.act({ type: "loaded", payment, cards, nowMs: this.around.world.now(), expired: isExpired });
      if (standingOf(payment) === "working") this.act({ type: "settled", result: await follow(secret, payment, this.parts()) });
      if (isOpen) this.emit("ready", undefined);
    } catch (fault) {
      this.refuse(fault);
    }
  }

  /** Without their list a payer can still pay with a new card. */
  private async savedCards(): Promise<readonly SavedCard[]> {
    try {
      return (await this.api.savedCards(this.secret)).cards;
    } catch (fault) {
      if (fault instanceof ApiFault && fault.lost && fault.code !== "network") return [];
      throw fault;
    }
  }

  private refuse(fault: unknown): void {
    this.act({ type: "refused", error: this.shown(this.behind(fault)) });
  }

  /** The error behind what was thrown. What nobody foresaw leaves no sheet at work for ever, and still reaches the page's monitors. */
  private behind(fault: unknown): PaymentError {
    try {
      return errorOf(fault, this.words);
    } catch (unforeseen) {
      throwLater(unforeseen);
      return error("unavailable", "unforeseen", this.words.unavailable);
    }
  }

  /** What is wrong with the page helps its developer, and no payer. */
  private shown(error: PaymentError): PaymentError {
    if (error.type !== "configuration") return error;
    console.error(`Strongroom: ${error.code}: ${error.message}`);
    return { ...error, message: this.words.unavailable };
  }

  private choose(choice: Choice): void {
    this.act({ type: "chosen", choice });
    this.emit("change", { choice: choice.kind });
  }

  private async change(id: string, what: "removed" | "defaulted"): Promise<void> {
    this.act({ type: "working", id });
    if (this.state.working !== id) return;
    try {
      await (what === "removed" ? this.api.removeCard(this.secret, id) : this.api.makeDefault(this.secret, id));
      this.act({ type: what, id });
    } catch (fault) {
      this.refuse(fault);
    }
  }

  /** The one way to pay. A second click finds the sheet at work and does nothing. */
  private async pay(): Promise<void> {
    if (!mayPay(this.state) || this.state.phase !== "open") return;
    const before = this.state;
    this.act({ type: "pay" });
    const { secret } = this;
    let result: ConfirmResult;
    try {
      const asked = await this.asked(before);
      this.lost = asked;
      result = await confirmAndFollow(secret, asked.confirm, this.parts());
      // The short-lived name of a saved card ended: the same once more under its new name.
      if (result.error?.code === "HE_02") {
        await this.refreshCards();
        const card = chosenCard(this.state);
        if (card !== undefined) result = await confirmAndFollow(secret, this.confirmed({ ...asked.means, card: { token: card.token } }), this.parts());
      }
      const isLost = result.error?.type === "network" || result.error?.type === "unavailable";
      if (!isLost) this.lost = undefined;
    } catch (fault) {
      // A confirmation that was sent already stays the lost one: the next click sends it again under its key.
      result = { error: this.behind(fault) };
    }
    this.settle(result);
  }

  private settle(result: ConfirmResult): void {
    const { error } = result;
    // The field itself says what is wrong with it.
    const isShown = error?.type === "card" && error.field !== undefined && error.code !== "cvc_needed";
    this.act(isShown ? { type: "mistyped" } : { type: "settled", result: error === undefined ? result : { ...result, error: this.shown(error) } });
    if (this.state.phase !== "open" || error?.type !== "card") return;
    if (error.code === "cvc_needed") this.cvc?.element.clear();
    const field = this.state.choice.kind === "new" ? this.card : this.cvc?.element;
    field?.focus();
  }

  private async refreshCards(): Promise<void> {
    try {
      this.act({ type: "cards", cards: (await this.api.savedCards(this.secret)).cards });
    } catch (fault) {
      if (!(fault instanceof ApiFault)) throw fault;
    }
  }

  /** The confirmation that was lost, as long as nothing was chosen or typed anew; else one of what is chosen now. */
  private async asked(state: State): Promise<Asked> {
    const { returnUrl } = this.options;
    const { payment } = state;
    const card = chosenCard(state);
    const about = JSON.stringify([this.secret, card?.id, state.save]);
    if (this.lost?.about === about) return this.lost;
    const stored = card === undefined ? await this.newCard() : undefined;
    const cvcToken = card === undefined ? stored?.cvc_token : await this.cvcToken(card);
    const keeps = payment?.customer_id !== undefined;
    const agreed = payment?.setup_future_usage !== undefined;
    const means: Means = {
      card: card === undefined ? { id: stored?.payment_method_id ?? "" } : { token: card.token },
      inFrame: this.way() === "frame",
      save: card === undefined && keeps && !agreed && state.save,
      agrees: keeps && agreed,
      setupOnly: payment?.amount === 0,
      ...(cvcToken === undefined ? {} : { cvcToken }),
      ...(returnUrl === undefined ? {} : { returnUrl }),
    };
    return { about, means, confirm: this.confirmed(means) };
  }

  private confirmed(means: Means): Confirm {
    return confirmation(this.secret, means, this.around.world, browserInfo());
  }

  private newCard(): Promise<{ readonly payment_method_id: string; readonly cvc_token?: string }> {
    if (this.card === undefined) throw wrong("the card fields are not there");
    // For this payment alone: only its end says whether the card is kept.
    return this.card.tokenize({ storage: "short_term" });
  }

  private async cvcToken(card: SavedCard): Promise<string | undefined> {
    if (!card.asksCvc) return undefined;
    if (this.cvc?.id !== card.id) throw wrong("the CVC field is not there");
    return (await this.cvc.element.sealCvc(card.id)).cvc_token;
  }

  /** The button of a last view. */
  private async next(): Promise<void> {
    const { phase, payment } = this.state;
    if (phase === "unverified" && payment !== undefined) {
      this.act({ type: "verifying" });
      try {
        this.act({ type: "settled", result: await follow(this.secret, payment, this.parts()) });
      } catch (fault) {
        this.refuse(fault);
      }
    } else if (phase === "failed" || phase === "expired") {
      await this.renew();
    } else if (phase === "broken") {
      this.act({ type: "restart" });
      await this.load();
    } else {
      const home = homeOf(payment, this.options.returnUrl);
      if (home !== undefined) location.assign(home);
    }
  }

  /** Another payment for the same order. */
  private async renew(): Promise<void> {
    const { newPayment } = this.options;
    if (newPayment === undefined) return;
    this.act({ type: "restart" });
    try {
      const secret = await newPayment();
      if (!isSecret(secret)) throw wrong("newPayment brings a payment's client secret");
      this.secret = secret;
      this.lost = undefined;
      this.dropFields();
      this.around.goesOnWith(secret);
      await this.around.sessions.renew(secret);
      await this.load();
    } catch (fault) {
      const known = fault instanceof Error ? fault : new Error("newPayment failed");
      this.act({ type: "refused", error: { type: "unavailable", code: "no_new_payment", message: this.words.unavailable } });
      console.error("Strongroom: newPayment brought no client secret.", known.message);
    }
  }

  private act(action: Action): void {
    if (this.stay === undefined) return;
    const before = this.state;
    this.state = reduce(before, action);
    if (this.state === before) return;
    this.view.show(this.state);
    this.placeFields();
    this.tell();
  }

  /** The vault's fields stand where they are needed. They begin once and stay while the payer looks around. */
  private placeFields(): void {
    const { state, options } = this;
    const { setup } = this.around;
    if (state.phase !== "open") {
      if (state.phase === "paying" || state.phase === "verifying") return;
      this.dropFields();
      return;
    }
    const shared = { locale: options.locale ?? this.locale, ...(options.appearance === undefined ? {} : { appearance: options.appearance }) };
    if (state.choice.kind === "new" && this.card === undefined) {
      const { brands, holderName } = options;
      this.card = setup.elements(shared).create("card", {
        ...(brands === undefined ? {} : { brands }),
        ...(holderName === undefined ? {} : { holderName }),
      });
      this.begin(this.card, this.view.fields);
    }
    const card = chosenCard(state);
    if (this.cvc !== undefined && this.cvc.id !== card?.id) {
      this.cvc.element.destroy();
      this.cvc = undefined;
    }
    const place = card === undefined ? undefined : this.view.cvcOf(card.id);
    if (card?.asksCvc === true && this.cvc === undefined && place !== undefined) {
      const element = setup.elements(shared).create("cvc", { brand: card.brand });
      this.cvc = { id: card.id, element };
      this.begin(element, place);
    }
  }

  private begin(element: HostedElement, place: HTMLElement): void {
    element.on("submit", () => void this.pay());
    element.on("change", () => {
      // What was lost was about other digits.
      this.lost = undefined;
    });
    element.on("error", (failure) => this.act({ type: "refused", error: { type: "unavailable", code: failure.code, message: this.words.unavailable } }));
    this.around.sessions.freshen(this.secret).then(
      () => {
        if (element === this.card || element === this.cvc?.element) element.mount(place);
      },
      (fault: unknown) => this.refuse(fault),
    );
  }

  private dropFields(): void {
    this.card?.destroy();
    this.cvc?.element.destroy();
    this.card = this.cvc = undefined;
  }

  private tell(): void {
    const { phase, payment, notice } = this.state;
    if (phase === this.told) return;
    this.told = phase;
    if (phase === "paid" && payment !== undefined) this.paid(payment);
    if ((phase === "failed" || phase === "expired" || phase === "broken") && notice !== undefined) {
      this.emit("failed", { error: notice, ...(payment === undefined ? {} : { payment }) });
    }
  }

  private paid(payment: PaymentView): void {
    this.emit("paid", payment);
    const home = this.options.redirect === "always" ? homeOf(payment, this.options.returnUrl) : undefined;
    if (home !== undefined) location.assign(home);
  }

  private emit<Name extends keyof SheetEvents>(name: Name, event: SheetEvents[Name]): void {
    for (const listener of this.listeners.get(name) ?? []) {
      try {
        (listener as (event: SheetEvents[Name]) => void)(event);
      } catch (fault) {
        // The shop's own fault shows up where the shop looks for it, and the sheet goes on.
        throwLater(fault);
      }
    }
  }

  private way(): "frame" | "redirect" {
    return this.options.authentication ?? "frame";
  }

  private parts(): Parts {
    const { api, words, locale } = this;
    const { setup, world } = this.around;
    const go = authenticator(this.secret, this.way(), setup.api, locale, this.options.appearance ?? {}, this.stay?.signal);
    const authenticate: Parts["authenticate"] = (url, paymentId, isOver) => {
      this.act({ type: "verifying" });
      return go(url, paymentId, isOver);
    };
    return { api, world, words, authenticate };
  }
}

/** What a sheet needs of the page that it is on. */
export interface Around {
  readonly setup: PaymentsSetup;
  readonly world: World;
  readonly sessions: VaultSessions;
  /** Told when the sheet goes on with another payment. */
  readonly goesOnWith: (secret: string) => void;
}

/** A confirmation, what it was made of, and the choice that it was about. */
interface Asked {
  readonly about: string;
  readonly means: Means;
  readonly confirm: Confirm;
}

/** Throws where nobody catches it but the page's own monitors (`window.onerror`). */
function throwLater(fault: unknown): void {
  setTimeout(() => {
    throw fault;
  });
}

function checkOptions(options: SheetOptions): void {
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) throw wrong(`there is no option ${name}; known are ${OPTIONS.join(", ")}`);
  }
  const fault = options.appearance === undefined ? undefined : faultOf(options.appearance);
  if (fault !== undefined) throw wrong(`appearance: ${fault.at}: ${fault.why}`);
  if (options.returnUrl !== undefined && !isWeb(options.returnUrl)) throw wrong("returnUrl is a whole https address");
}

const OPTIONS = ["locale", "appearance", "returnUrl", "redirect", "authentication", "brands", "holderName", "save", "newPayment"];
