// The loader, `strongroom.js`: puts `Strongroom` on the page. It never sees a card.

import { StrongroomError } from "../shared/failure";
import type { StrongroomOptions } from "../shared/elements";
import { StrongroomSdk } from "./strongroom";

/** Where this script came from is where the vault is. Read at once: later there is no current script. */
const HOME = document.currentScript instanceof HTMLScriptElement ? document.currentScript.src : undefined;

function Strongroom(key: string, options: StrongroomOptions = {}): StrongroomSdk {
  return new StrongroomSdk(key, options, HOME);
}
Strongroom.version = __VERSION__;
Strongroom.Error = StrongroomError;

// A page that includes the script twice keeps the first.
if (!("Strongroom" in globalThis)) {
  Object.defineProperty(globalThis, "Strongroom", { value: Strongroom, configurable: false, enumerable: true, writable: false });
}
