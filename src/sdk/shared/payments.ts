// The seam between the loader and `payments.js`, which the loader fetches when somebody pays.

import type { Appearance } from "./appearance";
import type { ElementKind, FrameOptions, CvcResult, TokenizeRequest, TokenizeResult } from "./protocol";

/** What the payments part gets from the loader. */
export interface PaymentsSetup {
  /** The publishable key. */
  readonly key: string;
  readonly clientSecret: string;
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
  tokenize(request?: TokenizeRequest): Promise<TokenizeResult>;
  sealCvc(paymentMethod: string): Promise<CvcResult>;
}

/** What `payments.js` offers. */
export interface Payments {
  /** A client session of the vault for this payment, where the shop brought none. */
  vaultSession(): Promise<string>;
  confirmPayment(params: ConfirmParams): Promise<ConfirmResult>;
  sheet(options: SheetOptions): SheetElement;
}

/** How `payments.js` is started. */
export type MakePayments = (setup: PaymentsSetup) => Payments;

/** What a confirmation takes. */
export interface ConfirmParams {
  /** A card element: its card is stored first and paid with. */
  readonly element?: HostedElement;
  /** Or a stored card. */
  readonly paymentMethod?: string;
  /** A sealed CVC for the stored card. */
  readonly cvcToken?: string;
  /** Whether the card is kept for later. */
  readonly save?: boolean;
  /** Where the customer comes back to after a redirect. */
  readonly returnUrl?: string;
  /** `redirect`: 3-D Secure in the whole window. `frame`: in a frame on the page. */
  readonly authentication?: "redirect" | "frame";
}

/** How a payment stands. */
export interface ConfirmResult {
  readonly paymentId: string;
  readonly status: string;
  /** The provider's or the engine's reason, where it failed. */
  readonly error?: { readonly code: string; readonly message: string };
}

/** What a sheet takes. */
export interface SheetOptions {
  readonly locale?: string;
  readonly appearance?: Appearance;
  readonly returnUrl?: string;
  readonly authentication?: "redirect" | "frame";
}

/** A sheet on the page. */
export interface SheetElement {
  mount(target: string | HTMLElement): this;
  unmount(): void;
  on(name: "ready", listener: () => void): this;
  on(name: "paid", listener: (result: ConfirmResult) => void): this;
  on(name: "failed", listener: (result: ConfirmResult) => void): this;
}
