// A page that was open for too long. The shortest time that the orchestrator gives a payment is a minute, so the page is opened
// before all other tests and looked at after them.
import test from "node:test";
import assert from "node:assert/strict";
import { charged, pay, payment, world } from "../world.mjs";
import { axe } from "./axe.mjs";
import { newContext } from "./browser.mjs";
import { cards, eventually, fields, paidOnce, payButton, paymentOf, thanked, toCheckout, type } from "./shop.mjs";

let page;

/** Opens the page. */
export async function openEarly() {
  page = await (await newContext()).newPage();
  await toCheckout(page, "?seconds=60");
}

/** Registers the test that looks at it; whoever calls this last has it run last. */
export function lookLate() {
  test("who_was_away_for_too_long_starts_over_and_pays_once", startsOver);
}

async function startsOver() {
  await fields(page).locator("#sr-number").waitFor();
  const old = await paymentOf(page);
  const { client_secret } = await payment(old);
  await eventually("the payment's time to be over", async () => {
    const headers = { "api-key": world.publishable_key };
    const answer = await fetch(`${pay}/payments/${old}?client_secret=${client_secret}`, { headers });
    return answer.status === 400 && (await answer.json()).error.code === "IR_08";
  });
  await type(page, cards.visa);
  await payButton(page).click();
  await page.getByRole("heading", { name: "This page was open for too long" }).waitFor();
  await axe(page.mainFrame());
  await page.getByRole("button", { name: "Start over" }).click();
  await fields(page).locator("#sr-number").waitFor();
  const fresh = await paymentOf(page);
  assert.notEqual(fresh, old);
  await type(page, cards.visa);
  await payButton(page).click();
  await thanked(page);
  await paidOnce(fresh, cards.visa);
  assert.deepEqual(await charged(old), []);
  await page.context().close();
}
