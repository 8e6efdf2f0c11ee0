// The seam between the loader and `payments.js`, which the loader fetches when somebody pays, and the types of paying.

import type { Appearance } from "./appearance";
import type { Brand } from "./brands";
import type { Failure, Field } from "./failure";
import type { Change, CvcResult, ElementKind, FrameOptions, TokenizeRequest, TokenizeResult } from "./protocol";

/** What the payments part gets from the loader. */
export interface PaymentsSetup {
  /** The publishable key. */
  readonly key: string;
  /** The payment's client secret; absent on a page that payers come back to. */
  readonly clientSecret: string | undefined;
  /** The origin of the payments API. */
  readonly api: string;
  /** Makes elements of the vault's fields. */
  elements(shared?: { readonly locale?: string; readonly appearance?: Appearance }): ElementsMaker;
  /** Has all fields go on under a new client session. */
  setSession(session: string): void;
}

/** What makes elements. */
export interface ElementsMaker {
  create(kind: ElementKind, options?: FrameOptions): HostedElement;
}

/** What the payments part may do with an element. */
export interface HostedElement {
  mount(target: string | HTMLElement): unknown;
  unmount(): void;
  destroy(): void;
  update(options: FrameOptions): unknown;
  focus(): void;
  clear(): void;
  on(name: "ready" | "submit", listener: () => void): unknown;
  on(name: "change", listener: (change: Change) => void): unknown;
  on(name: "error", listener: (failure: Failure) => void): unknown;
  tokenize(request?: TokenizeRequest): Promise<TokenizeResult>;
  sealCvc(paymentMethod: string): Promise<CvcResult>;
}

/** What `payments.js` offers. */
export interface Payments {
  /** A client session of the vault for this payment, where the shop brought none. */
  vaultSession(): Promise<string>;
  confirmPayment(params: ConfirmParams): Promise<ConfirmResult>;
  /** The payment as it stands. */
  retrievePayment(clientSecret?: string): Promise<ConfirmResult>;
  /** The payment that the payer came back to this page from, as it stands; nothing where nobody came back. */
  handleReturn(): Promise<ConfirmResult | undefined>;
  sheet(options: SheetOptions): SheetElement;
}

/** How `payments.js` is started. */
export type MakePayments = (setup: PaymentsSetup) => Payments;

/** What a confirmation takes: a card element, or a stored card. */
export interface ConfirmParams {
  /** A card element: its card is stored first and paid with. */
  readonly element?: HostedElement;
  /** Or a stored card (`pm_...`). */
  readonly paymentMethod?: string;
  /** A sealed CVC for the stored card. */
  readonly cvcToken?: string;
  /** Whether the card is kept for later, which the payer agreed to. */
  readonly save?: boolean;
  readonly confirmParams?: {
    /** Where the payer comes back to after a redirect; a page of the account's allowed_origins. */
    readonly return_url?: string;
  };
  /** `always`: the window goes to `return_url` also where nothing needs a redirect. Default: `if_required`. */
  readonly redirect?: "if_required" | "always";
  /** 3-D Secure in a frame on this page (default), or in the whole window. */
  readonly authentication?: "frame" | "redirect";
  /** The language of what is shown and told. Default: the page's. */
  readonly locale?: string;
}

/** Where a payment is in its life. */
export type PaymentStatus = (typeof STATUSES)[number];

/** A payment, as a page sees it. */
export interface PaymentView {
  readonly payment_id: string;
  readonly status: PaymentStatus;
  /** In minor units. */
  readonly amount: number;
  readonly currency: string;
  readonly customer_id?: string;
  /** The card, where it is kept for later. */
  readonly payment_method_id?: string;
  readonly card?: { readonly brand: Brand; readonly last4: string };
  readonly return_url?: string;
  readonly setup_future_usage?: string;
  readonly payment_type?: string;
  /** Where the payer must go to authenticate. */
  readonly redirect_to_url?: string;
  readonly error_code?: string;
  readonly error_message?: string;
}

/** What kind of thing went wrong, which says what to do. */
export type PaymentErrorType =
  /** The bank said no; the payment is over, and another payment may be tried. */
  | "declined"
  /** Something that was typed is wrong or missing: show the message, let the payer type again. */
  | "card"
  /** The payer did not authenticate; the same payment may go on. */
  | "authentication"
  /** No answer came. The same call again is safe. */
  | "network"
  /** The client secret ended: the shop makes another payment. */
  | "expired"
  /** The payment is in a state that allows no confirmation. */
  | "state"
  /** The page is wrong: a key, an address, a parameter. */
  | "configuration"
  /** The server cannot now. The same call again is safe. */
  | "unavailable";

/** Why a payment did not come about. */
export interface PaymentError {
  readonly type: PaymentErrorType;
  readonly code: string;
  /** For the payer, in the language of the page. */
  readonly message: string;
  readonly field?: Field;
}

/** The end of a confirmation. A payment that is there beside an error is how it stands. */
export type ConfirmResult =
  | { readonly payment: PaymentView; readonly error?: never }
  | { readonly error: PaymentError; readonly payment?: PaymentView };

/** What a sheet takes. */
export interface SheetOptions {
  readonly locale?: string;
  readonly appearance?: Appearance;
  /** Where the payer comes back to after a redirect, and goes on to from the sheet's last view. */
  readonly returnUrl?: string;
  /** `always`: the window goes to `returnUrl` as soon as the payment succeeded. Default: `if_required`. */
  readonly redirect?: "if_required" | "always";
  /** 3-D Secure in a frame on this page (default), or in the whole window. */
  readonly authentication?: "frame" | "redirect";
  /** Brands that the shop takes; all when absent. */
  readonly brands?: FrameOptions["brands"];
  readonly holderName?: FrameOptions["holderName"];
  /** Whether the payer is offered to keep a new card. Default: `true` where the payment has a customer. */
  readonly save?: boolean;
  /** Makes another payment for the same order, after a decline or when this one is too old, and brings its client secret. */
  readonly newPayment?: () => Promise<string>;
}

/** What a sheet tells. */
export interface SheetEvents {
  /** The payer can begin. */
  readonly ready: undefined;
  readonly paid: PaymentView;
  /** A decline, or what the payer cannot mend on this page. */
  readonly failed: { readonly error: PaymentError; readonly payment?: PaymentView };
  /** Which way to pay is chosen: a saved card or a new one. */
  readonly change: { readonly choice: "saved" | "new" };
}

/** A sheet on the page. */
export interface SheetElement {
  mount(target: string | HTMLElement): this;
  unmount(): void;
  destroy(): void;
  on<Name extends keyof SheetEvents>(name: Name, listener: (event: SheetEvents[Name]) => void): this;
  off<Name extends keyof SheetEvents>(name: Name, listener: (event: SheetEvents[Name]) => void): this;
}

/** Every status of the payments API. */
export const STATUSES = [
  "requires_payment_method",
  "requires_confirmation",
  "processing",
  "requires_customer_action",
  "requires_capture",
  "succeeded",
  "partially_captured",
  "partially_captured_and_capturable",
  "failed",
  "cancelled",
  "expired",
] as const;
