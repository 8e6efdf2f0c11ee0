// What people do in the shop, in Chromium.
import assert from "node:assert/strict";
import { cards, charged, eventually, payment, shop } from "../world.mjs";

/** Puts tea into the basket and goes to the checkout. */
export async function toCheckout(page, query = "") {
  await page.goto(`${shop}/`);
  await page.getByRole("button", { name: "Add Morning Fern to the basket" }).click();
  await page.waitForURL(`${shop}/basket`);
  await page.goto(`${shop}/checkout${query}`);
}

/** The vault's frame on the page. */
export function fields(page) {
  return page.frameLocator('iframe[title="Strongroom card fields"]');
}

/** Types a card into the vault's frame, key by key. */
export async function type(page, card, expiry = "12/34") {
  await fields(page).locator("#sr-number").pressSequentially(card.number);
  await fields(page).locator("#sr-expiry").pressSequentially(expiry);
  await fields(page).locator("#sr-cvc").pressSequentially(card.cvc);
}

/** Clicks what pays: the sheet's button, or the shop's own where there is no sheet. */
export function payButton(page) {
  return page.locator("button.pay:visible, #pay:visible");
}

/** The id of the payment that the page has, from what the page was told. */
export async function paymentOf(page) {
  const note = page.locator("#saw-page li", { hasText: /has pay_/ }).first();
  return /pay_\w+/.exec(await note.innerText())[0];
}

/** Waits for the page of thanks; answers what it says. */
export async function thanked(page) {
  await page.waitForURL(/\/thanks/);
  await page.getByRole("heading", { name: "Thank you!" }).waitFor();
  return page.locator("#outcome").innerText();
}

/** The payment moved money once: reserved and taken, with this card. */
export async function paidOnce(paymentId, card, amount = 1250) {
  assert.deepEqual(await charged(paymentId), [`authorize ${amount} ${card.last4}`, `capture ${amount} ${card.last4}`]);
  const paid = await payment(paymentId);
  assert.equal(paid.status, "succeeded");
  assert.equal(paid.amount_received, amount);
}

/** Everything that scripts of the shop's page can read of it, as text. */
export async function readable(page) {
  return page.evaluate(() => {
    const seen = new Set();
    const texts = [document.documentElement.outerHTML, document.cookie];
    for (const input of document.querySelectorAll("input, select, textarea")) texts.push(input.value);
    texts.push(JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }));
    texts.push(JSON.stringify(performance.getEntries()), location.href, JSON.stringify(history.state), window.name);
    const walk = (value, depth) => {
      if (typeof value === "string") texts.push(value);
      if (typeof value !== "object" || value === null || seen.has(value) || depth > 4) return;
      seen.add(value);
      for (const key of Object.getOwnPropertyNames(value)) {
        try {
          walk(value[key], depth + 1);
        } catch {
          // Windows of other origins refuse; that is the point.
        }
      }
    };
    walk(window, 0);
    return texts.join("\n");
  });
}

/** The number of a card is not among what scripts of the page can read; the list of test cards on it aside. */
export async function pageHoldsNo(page, card) {
  await page.locator(".cards").evaluateAll((lists) => lists.forEach((list) => list.remove()));
  const text = await readable(page);
  assert.ok(text.includes("Fern"), "the search reads the page");
  const grouped = card.number.replace(/(\d{4})(?=\d)/g, "$1[ -]?");
  assert.ok(!new RegExp(grouped).test(text), "the page holds the number");
}

export { cards, eventually };
