// What the npm package holds: the types, and a function that puts the vault's own loader on the page.

import { wrong, StrongroomError } from "../shared/failure";

export { StrongroomError } from "../shared/failure";
export type { Failure, FailureCode, Field } from "../shared/failure";
export type { Appearance, Variable } from "../shared/appearance";
export type { Brand } from "../shared/brands";
export type { Locale } from "../shared/locale";
export type { Change, CvcResult, ElementKind, FrameOptions, MaskedCard, TokenizeRequest, TokenizeResult } from "../shared/protocol";
export type {
  ConfirmParams,
  ConfirmResult,
  PaymentError,
  PaymentErrorType,
  PaymentStatus,
  PaymentView,
  SheetElement,
  SheetEvents,
  SheetOptions,
} from "../shared/payments";
export type { Elements, ElementsOptions, FieldsElement, Strongroom, StrongroomFactory, StrongroomOptions } from "./types";

import type { StrongroomFactory } from "./types";

/** What `loadStrongroom` may be told. */
export interface LoadOptions {
  /** The loader's subresource integrity (`sha384-...`), from the vault's `/sdk/inventory.json`; with it, only that file runs. */
  readonly integrity?: string;
  /** The exact version, such as `1.0.0`; the newest 1.x when absent, which has no fixed hash. */
  readonly version?: string;
}

/** Puts `strongroom.js` of a vault on the page, once, and gives `Strongroom`. */
export function loadStrongroom(vault: string, options: LoadOptions = {}): Promise<StrongroomFactory> {
  const present = factory();
  if (present !== undefined) return Promise.resolve(present);
  if (options.integrity !== undefined && options.version === undefined) {
    return Promise.reject(wrong("integrity goes with an exact version"));
  }
  const origin = new URL(vault).origin;
  const script = document.createElement("script");
  script.src = `${origin}/sdk/${options.version ?? "v1"}/strongroom.js`;
  script.crossOrigin = "anonymous";
  if (options.integrity !== undefined) script.integrity = options.integrity;
  return new Promise((done, failed) => {
    const lost = (): void => {
      script.remove();
      failed(new StrongroomError({ code: "frame_unavailable", message: `the loader was not fetched from ${origin}` }));
    };
    script.onload = () => {
      const made = factory();
      if (made === undefined) lost();
      else done(made);
    };
    script.onerror = lost;
    document.head.append(script);
  });
}

function factory(): StrongroomFactory | undefined {
  return (globalThis as { Strongroom?: StrongroomFactory }).Strongroom;
}
