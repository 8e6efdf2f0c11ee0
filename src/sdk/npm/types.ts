// The types of what `Strongroom(key, options)` gives, for code that is checked against them and loads the vault's file.

import type { Appearance } from "../shared/appearance";
import type { Failure, Field, StrongroomError } from "../shared/failure";
import type { ConfirmParams, ConfirmResult, SheetElement, SheetOptions } from "../shared/payments";
import type { Change, CvcResult, ElementKind, FrameOptions, TokenizeRequest, TokenizeResult } from "../shared/protocol";

/** What `Strongroom` takes beside the key. */
export interface StrongroomOptions {
  readonly vault?: string;
  readonly clientSecret?: string;
  readonly api?: string;
  readonly vaultSession?: string | (() => Promise<string>);
}

/** What all elements of a group share. */
export interface ElementsOptions {
  readonly locale?: string;
  readonly appearance?: Appearance;
}

/** Makes elements that look and speak alike. */
export interface Elements {
  create(kind: ElementKind, options?: FrameOptions): FieldsElement;
  create(kind: "payment", options?: SheetOptions): SheetElement;
}

/** What each event tells its listeners. */
export interface ElementEventMap {
  ready: undefined;
  change: Change;
  complete: Change;
  focus: { readonly field: Field };
  blur: { readonly field: Field };
  error: Failure;
  submit: undefined;
}

/** Card fields, or the CVC field of a stored card. */
export interface FieldsElement {
  readonly kind: ElementKind;
  mount(target: string | HTMLElement): this;
  unmount(): void;
  destroy(): void;
  update(options: FrameOptions): this;
  focus(): void;
  blur(): void;
  clear(): void;
  on<Name extends keyof ElementEventMap>(name: Name, listener: (event: ElementEventMap[Name]) => void): this;
  off<Name extends keyof ElementEventMap>(name: Name, listener: (event: ElementEventMap[Name]) => void): this;
  tokenize(request?: TokenizeRequest): Promise<TokenizeResult>;
  sealCvc(paymentMethod: string): Promise<CvcResult>;
}

/** The SDK of one page. */
export interface Strongroom {
  elements(shared?: ElementsOptions): Elements;
  tokenize(element: FieldsElement, request?: TokenizeRequest): Promise<TokenizeResult>;
  sealCvc(element: FieldsElement, paymentMethod: string): Promise<CvcResult>;
  renew(session: string): void;
  confirmPayment(params: ConfirmParams): Promise<ConfirmResult>;
  sheet(options?: SheetOptions): Promise<SheetElement>;
  retrievePayment(clientSecret?: string): Promise<ConfirmResult>;
  handleReturn(): Promise<ConfirmResult | undefined>;
}

/** `window.Strongroom`. */
export interface StrongroomFactory {
  (key: string, options?: StrongroomOptions): Strongroom;
  readonly version: string;
  readonly Error: typeof StrongroomError;
}
