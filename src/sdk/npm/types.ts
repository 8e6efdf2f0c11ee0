// The types of what `Strongroom(key, options)` gives, for code that is checked against them and loads the vault's file.

import type { ElementEvents, ElementsOptions, StrongroomOptions } from "../shared/elements";
import type { StrongroomError } from "../shared/failure";
import type { ConfirmParams, ConfirmResult, SheetElement, SheetOptions } from "../shared/payments";
import type { CvcResult, ElementKind, FrameOptions, TokenizeRequest, TokenizeResult } from "../shared/protocol";

export type { ElementEvents, ElementsOptions, StrongroomOptions };

/** Makes elements that look and speak alike. */
export interface Elements {
  create(kind: ElementKind, options?: FrameOptions): FieldsElement;
  create(kind: "payment", options?: SheetOptions): SheetElement;
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
  on<Name extends keyof ElementEvents>(name: Name, listener: (event: ElementEvents[Name]) => void): this;
  off<Name extends keyof ElementEvents>(name: Name, listener: (event: ElementEvents[Name]) => void): this;
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
