// `Strongroom(key, options)`: what a shop calls. It makes elements, stores what is typed into them, and fetches payments on demand.

import { wrong } from "../shared/failure";
import type { CvcResult, ElementKind, FrameOptions, TokenizeRequest, TokenizeResult } from "../shared/protocol";
import type { ElementsOptions, SessionSource, StrongroomOptions } from "../shared/elements";
import type { ConfirmParams, ConfirmResult, Payments, PaymentsSetup, SheetElement, SheetOptions } from "../shared/payments";
import { FieldsElement } from "./element";
import { loadPayments } from "./payments";
import { Sessions } from "./session";
import { LateSheet } from "./sheet";

/** Makes elements that look and speak alike. */
export interface Elements {
  create(kind: ElementKind, options?: FrameOptions): FieldsElement;
  create(kind: "payment", options?: SheetOptions): SheetElement;
}

/** The SDK of one page. */
export class StrongroomSdk {
  private readonly vault: string;
  private readonly sessions: Sessions;
  private readonly mounted = new Set<FieldsElement>();
  private payments: Promise<Payments> | undefined;

  constructor(
    private readonly key: string,
    private readonly options: StrongroomOptions,
    origin: string | undefined,
  ) {
    for (const name of Object.keys(options)) {
      if (!OPTIONS.includes(name)) throw wrong(`there is no option ${name}; known are ${OPTIONS.join(", ")}`);
    }
    this.vault = vaultOrigin(options.vault ?? origin);
    this.sessions = new Sessions(this.sessionSource());
  }

  /** A group of elements. */
  elements(shared: ElementsOptions = {}): Elements {
    const create = (kind: ElementKind | "payment", options: FrameOptions | SheetOptions = {}): FieldsElement | SheetElement => {
      if (kind === "payment") return this.lateSheet({ ...shared, ...(options as SheetOptions) });
      if (kind !== "card" && kind !== "cvc") throw wrong("elements are called card, cvc and payment");
      const { vault, sessions, mounted } = this;
      return new FieldsElement(kind, { vault, sessions, mounted }, { ...shared, ...(options as FrameOptions) });
    };
    return { create: create as Elements["create"] };
  }

  /** Stores the card that is typed into a card element. */
  tokenize(element: FieldsElement, request: TokenizeRequest = {}): Promise<TokenizeResult> {
    return element.tokenize(request);
  }

  /** Seals the CVC that is typed into a cvc element, for a stored card. */
  sealCvc(element: FieldsElement, paymentMethod: string): Promise<CvcResult> {
    return element.sealCvc(paymentMethod);
  }

  /** Goes on under a new client session, after `session_expired`. */
  renew(session: string): void {
    this.sessions.take(session);
    for (const element of this.mounted) element.takeSession(session);
  }

  /** Confirms the payment of the client secret. */
  async confirmPayment(params: ConfirmParams): Promise<ConfirmResult> {
    return (await this.withPayments()).confirmPayment(params);
  }

  /** The payment of the client secret, as it stands. */
  async retrievePayment(clientSecret?: string): Promise<ConfirmResult> {
    return (await this.withPayments()).retrievePayment(clientSecret);
  }

  /** On the page that payers come back to: the payment that they come back from, or nothing where nobody came back. */
  async handleReturn(): Promise<ConfirmResult | undefined> {
    return (await this.withPayments()).handleReturn();
  }

  /** The payment sheet as soon as its code is there; `elements().create("payment")` gives one at once. */
  async sheet(options: SheetOptions = {}): Promise<SheetElement> {
    return (await this.withPayments()).sheet(options);
  }

  private lateSheet(options: SheetOptions): SheetElement {
    return new LateSheet(this.withPayments().then((payments) => payments.sheet(options)));
  }

  private async withPayments(): Promise<Payments> {
    const setup = this.setup();
    this.payments ??= loadPayments(this.vault).then((make) => make(setup));
    const { payments } = this;
    payments.catch(() => {
      if (this.payments === payments) this.payments = undefined;
    });
    return payments;
  }

  private setup(): PaymentsSetup {
    const { clientSecret, api } = this.options;
    if (!this.key.startsWith("pk_") || api === undefined) {
      throw wrong("payments need a publishable key (pk_...), api and, but for a return, clientSecret");
    }
    return {
      key: this.key,
      clientSecret,
      api: originOf(api, "api"),
      elements: (shared) => this.elements(shared),
      setSession: (session) => this.renew(session),
    };
  }

  private sessionSource(): SessionSource {
    if (this.key.startsWith("ss_")) return this.key;
    if (!this.key.startsWith("pk_")) throw wrong("the key is a client session (ss_...) or a publishable key (pk_...)");
    const { vaultSession } = this.options;
    return vaultSession ?? (() => this.withPayments().then((payments) => payments.vaultSession()));
  }
}

function vaultOrigin(given: string | undefined): string {
  if (given === undefined) throw wrong("say where the vault is: options.vault, such as https://vault.example");
  return originOf(given, "vault");
}

/** The origin of an address, if a browser may talk to it with a card. */
function originOf(text: string, name: string): string {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    url = undefined;
  }
  const local = url !== undefined && (url.hostname === "localhost" || url.hostname === "127.0.0.1");
  if (url === undefined || !(url.protocol === "https:" || (local && url.protocol === "http:"))) {
    throw wrong(`${name} is an https origin, such as https://${name}.example`);
  }
  return url.origin;
}

const OPTIONS = ["vault", "clientSecret", "api", "vaultSession"];
