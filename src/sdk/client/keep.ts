// What outlives a redirect: which payment this tab sent its payer away for. It stands in the tab's own storage until the payer
// is back, and is no more than what the shop's page had anyway.

import { idOf, isSecret } from "./api";

/** Remembers the payment before the window goes away. */
export function keep(secret: string): void {
  quietly(() => sessionStorage.setItem(NAME, secret));
}

/** The payment that the address says somebody comes back from. */
export function returnedId(search: string): string | undefined {
  const id = new URLSearchParams(search).get("payment_id");
  return id !== null && /^[A-Za-z0-9_-]{1,64}$/.test(id) ? id : undefined;
}

/** The client secret of the payment that this tab sent away, if it is this one. */
export function kept(id: string): string | undefined {
  const secret = quietly(() => sessionStorage.getItem(NAME));
  return isSecret(secret) && idOf(secret) === id ? secret : undefined;
}

/** Forgets it. */
export function forget(): void {
  quietly(() => sessionStorage.removeItem(NAME));
}

/** Browsers that keep nothing throw; then the shop's own client secret must do. */
function quietly<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

const NAME = "strongroom.payment";
