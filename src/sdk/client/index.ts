// `payments.js`: puts what `Strongroom` needs to pay on the page. It never sees a card.

import type { ConfirmParams, ConfirmResult, HostedElement, MakePayments, Payments, PaymentsSetup, SheetElement, SheetOptions } from "../shared/payments";
import { wrong } from "../shared/failure";
import { Sheet } from "../sheet/sheet";
import { WORDS } from "../sheet/words";
import { Api, idOf, isSecret, type Confirm } from "./api";
import { authenticator } from "./authenticate";
import { browserInfo, confirmAndFollow, confirmation, follow, isWeb, type Ended, type Means } from "./confirm";
import { homeOf, pageLocale } from "./home";
import { forget, kept, returnedId } from "./keep";
import { error, errorOf, standingOf } from "./outcome";
import { VaultSessions } from "./sessions";
import { browserWorld } from "./world";

/** Payments of one page. */
export class PagePayments implements Payments {
  private readonly world = browserWorld();
  private readonly api: Api;
  private readonly sessions: VaultSessions;
  /** The payment that the page is about now: a sheet may go on with another one. */
  private current: string | undefined;
  private running: Promise<ConfirmResult> | undefined;
  private last: { readonly about: string; readonly confirm: Confirm; readonly element: HostedElement | undefined; readonly same: string } | undefined;

  constructor(private readonly setup: PaymentsSetup) {
    this.api = new Api(setup.api, setup.key, this.world);
    this.sessions = new VaultSessions(this.api, this.world, (session) => setup.setSession(session));
    this.current = setup.clientSecret;
  }

  vaultSession(): Promise<string> {
    return this.sessions.bring(this.secret());
  }

  /** A second call while one runs gets the end of the first. */
  confirmPayment(params: ConfirmParams): Promise<ConfirmResult> {
    this.running ??= this.confirm(params).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  async retrievePayment(clientSecret?: string): Promise<ConfirmResult> {
    try {
      return { payment: await this.api.payment(clientSecret ?? this.secret()) };
    } catch (fault) {
      return { error: errorOf(fault, WORDS[pageLocale()]) };
    }
  }

  async handleReturn(): Promise<ConfirmResult | undefined> {
    const id = returnedId(location.search);
    if (id === undefined) return undefined;
    const given = this.setup.clientSecret;
    const secret = kept(id) ?? (given !== undefined && idOf(given) === id ? given : undefined);
    const words = WORDS[pageLocale()];
    if (secret === undefined) return { error: error("configuration", "unknown_payment", words.generic) };
    try {
      const payment = await this.api.payment(secret);
      // Somebody who is back is not sent away again without being asked.
      const authenticate = (): Promise<Ended> => Promise.resolve("returned");
      const result = await follow(secret, payment, { api: this.api, world: this.world, words, authenticate });
      if (result.payment !== undefined && standingOf(result.payment) !== "working") forget();
      return result;
    } catch (fault) {
      return { error: errorOf(fault, words) };
    }
  }

  sheet(options: SheetOptions): SheetElement {
    const goesOnWith = (secret: string): void => {
      this.current = secret;
    };
    return new Sheet(this.secret(), options, { setup: this.setup, world: this.world, sessions: this.sessions, goesOnWith });
  }

  private async confirm(params: ConfirmParams): Promise<ConfirmResult> {
    const locale = pageLocale(params.locale);
    const words = WORDS[locale];
    const secret = this.secret();
    const by = params.authentication ?? "frame";
    const returnUrl = params.confirmParams?.return_url;
    if (returnUrl !== undefined && !isWeb(returnUrl)) {
      return { error: error("configuration", "invalid_request", "confirmParams.return_url is a whole https address") };
    }
    try {
      const confirm = await this.confirmationOf(secret, params, by === "frame", returnUrl);
      const authenticate = authenticator(secret, by, this.setup.api, locale, {});
      const result = await confirmAndFollow(secret, confirm, { api: this.api, world: this.world, words, authenticate });
      const mayComeBack = result.error?.type === "network" || result.error?.type === "unavailable";
      if (!mayComeBack) this.last = undefined;
      if (result.error === undefined && params.redirect === "always") return await this.goHome(result, returnUrl);
      return result;
    } catch (fault) {
      return { error: errorOf(fault, words) };
    }
  }

  /** The lost confirmation once more, if it was about the same; else a new one. */
  private async confirmationOf(secret: string, params: ConfirmParams, inFrame: boolean, returnUrl: string | undefined): Promise<Confirm> {
    const { element, paymentMethod, cvcToken, save } = params;
    if ((element === undefined) === (paymentMethod === undefined)) {
      throw wrong("confirmPayment takes either element or paymentMethod");
    }
    // The fields are empty once they gave their card: the same call again is about that card, until somebody types another.
    const same = JSON.stringify([secret, save, inFrame, returnUrl]);
    if (element !== undefined && this.last?.element === element && this.last.same === same) return this.last.confirm;
    const stored = element === undefined ? undefined : await element.tokenize({ storage: "short_term" });
    const id = stored?.payment_method_id ?? paymentMethod ?? "";
    const about = JSON.stringify([secret, id, save, inFrame, returnUrl]);
    if (this.last?.about === about) return this.last.confirm;
    const cvc = stored?.cvc_token ?? cvcToken;
    const means: Means = {
      card: { id },
      inFrame,
      ...(cvc === undefined ? {} : { cvcToken: cvc }),
      ...(save === undefined ? {} : { save }),
      ...(returnUrl === undefined ? {} : { returnUrl }),
    };
    const confirm = confirmation(secret, means, this.world, browserInfo());
    const last = { about, confirm, element, same };
    this.last = last;
    element?.on("change", (event) => {
      if (!event.empty && this.last === last) this.last = undefined;
    });
    return confirm;
  }

  private goHome(result: ConfirmResult, returnUrl: string | undefined): Promise<ConfirmResult> {
    const home = homeOf(result.payment, returnUrl);
    if (home === undefined) return Promise.resolve(result);
    location.assign(home);
    return new Promise(() => undefined);
  }

  private secret(): string {
    if (!isSecret(this.current)) throw wrong("clientSecret is a payment's client secret (pay_..._secret_...)");
    return this.current;
  }
}

const make: MakePayments = (setup) => new PagePayments(setup);

Object.defineProperty(globalThis, "StrongroomPayments", { value: make, configurable: false, enumerable: false, writable: false });
