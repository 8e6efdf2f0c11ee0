// What a shop says to `Strongroom` and its elements, and what they tell it: the same for the served file and for the package's types.

import type { Appearance } from "./appearance";
import type { Failure, Field } from "./failure";
import type { Change } from "./protocol";

/** A client session of the vault, or what brings one. */
export type SessionSource = string | (() => Promise<string>);

/** What `Strongroom` takes beside the key. */
export interface StrongroomOptions {
  /** The vault's origin, where the loader came from another place. */
  readonly vault?: string;
  /** With a publishable key: the payment's client secret (`pay_..._secret_...`). */
  readonly clientSecret?: string;
  /** With a publishable key: the origin of the payments API. */
  readonly api?: string;
  /** A client session of the vault, or what brings one; asked again when it ended. */
  readonly vaultSession?: SessionSource;
}

/** What all elements of a group share. */
export interface ElementsOptions {
  readonly locale?: string;
  readonly appearance?: Appearance;
}

/** What each event tells its listeners. */
export interface ElementEvents {
  /** The fields can be typed into. */
  ready: undefined;
  /** Something about the fields is different; never what was typed. */
  change: Change;
  /** Everything is typed and valid; once each time that becomes true. */
  complete: Change;
  focus: { readonly field: Field };
  blur: { readonly field: Field };
  /** The frame cannot work. */
  error: Failure;
  /** Enter was pressed in a field. */
  submit: undefined;
}
