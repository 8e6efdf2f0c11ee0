// What the scripts know of the world that they run in, and how they ask its servers.
import { createRequire } from "node:module";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const world = JSON.parse(process.env.STRONGROOM_WORLD);
export const { shop, vault, pay, psp } = world.addresses;

/** The merchant that operators look at in the dashboard, and how they log in. */
export const { desk } = world;

/** A package from where `cargo xtask test` installs them. */
export const require = createRequire(`${world.packages}/`);

/** The published numbers that are typed, by what the simulator does with them. */
export const cards = {
  visa: { number: "4242424242424242", last4: "4242", cvc: "123" },
  mastercard: { number: "5555555555554444", last4: "4444", cvc: "123" },
  amex: { number: "378282246310005", last4: "0005", cvc: "1234" },
  declined: { number: "4000000000000002", last4: "0002", cvc: "123" },
  bank: { number: "4000002760003184", last4: "3184", cvc: "123" },
};

/** The longest that anything is waited for: how quick a machine is decides no test. */
export const PATIENCE_MS = 90_000;

/** A page of the same server under a name that no session allows. */
export const elsewhere = shop.replace("shop.localhost", "elsewhere.localhost");

/** Asks until the answer is worth something. */
export async function eventually(what, look) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** The movements of money of one payment, oldest first, as words. */
export async function charged(paymentId) {
  const answer = await fetch(`${world.ledger}?payment=${paymentId}`);
  const { entries } = await answer.json();
  return entries.map((line) => `${line.kind} ${line.amount} ${line.last4}`);
}

/** A payment as the merchant's server sees it. */
export async function payment(paymentId) {
  const answer = await fetch(`${pay}/payments/${paymentId}`, { headers: { "api-key": world.merchant.api_key } });
  return answer.json();
}

/** The newest payments of the merchant. */
export async function payments() {
  const answer = await fetch(`${pay}/payments/list?limit=100`, { headers: { "api-key": world.merchant.api_key } });
  return (await answer.json()).data;
}

/** Whether text holds the number of a card, whatever stands between its digits. */
export function holdsNumber(text, card) {
  return text.replace(/[^0-9]/g, "").includes(card.number);
}

/** Notes a measurement for the report of the run. Nothing is decided by it. */
export function measured(what, milliseconds) {
  appendFileSync(join(world.notes, "measured.txt"), `${what}: ${Math.round(milliseconds)} ms\n`);
}

/** A file of a package, as text. */
export function textOf(file) {
  return readFileSync(require.resolve(file), "utf8");
}
