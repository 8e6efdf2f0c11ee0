// Paying: with a new card, with a saved one, with a card that is declined, and once however often somebody clicks.
import assert from "node:assert/strict";
import { charged, measured, payment, payments, shop } from "../world.mjs";
import { visit } from "./browser.mjs";
import { cards, fields, pageHoldsNo, paidOnce, payButton, paymentOf, thanked, toCheckout, type } from "./shop.mjs";

visit("a_new_card_is_paid_with_and_the_shop_sees_a_token", async (page) => {
  await toCheckout(page, "?with=fields");
  await fields(page).locator("#sr-number").waitFor();
  measured("card fields mounted, from the start of the page", await mountedAfter(page));
  await page.locator("#contact [name=name]").fill("Ada Lovelace");
  await page.locator("#contact [name=email]").fill("ada@shop.example");
  await type(page, cards.visa);
  assert.equal(await fields(page).locator("#sr-number").inputValue(), "4242 4242 4242 4242");
  await pageHoldsNo(page, cards.visa);
  const paymentId = await paymentOf(page);
  await payButton(page).click();
  const said = await thanked(page);
  assert.match(said, /1 × Morning Fern for €12.50, paid with visa, ending in 4242/);
  await paidOnce(paymentId, cards.visa);
  await page.goto(`${shop}/account`);
  assert.match(await page.locator("tbody tr").innerText(), /Morning Fern.*visa, ending in 4242/s);
  assert.match(await page.locator("main").innerText(), /Welcome back, Ada Lovelace/);
  // The panel tells it from the processes' own words.
  await page.locator("#saw-vault li", { hasText: "a card went out, once" }).first().waitFor();
  await page.locator("#saw-psp li", { hasText: "capture 12.50 EUR, card ending in 4242" }).first().waitFor();
  assert.match(await page.locator("#saw-shop").innerText(), /"payment_method_id":"pm_[0-9a-f]{32}"/);
});

visit("a_customer_who_comes_back_pays_with_the_saved_card_and_its_cvc", async (page) => {
  await toCheckout(page);
  await fields(page).locator("#sr-number").waitFor();
  measured("payment sheet mounted, from the start of the page", await mountedAfter(page));
  await type(page, cards.visa);
  await page.getByLabel("Save this card for next time").check();
  const first = await paymentOf(page);
  await payButton(page).click();
  await thanked(page);
  await paidOnce(first, cards.visa);

  await toCheckout(page);
  await savedVisa(page).waitFor();
  const cvc = page.frameLocator('iframe[title="Strongroom CVC field"]').locator("#sr-cvc");
  await cvc.pressSequentially("123");
  assert.equal(await fields(page).locator("#sr-number").count(), 0, "no card is typed again");
  const second = await paymentOf(page);
  assert.notEqual(second, first);
  await payButton(page).click();
  assert.match(await thanked(page), /visa, ending in 4242/);
  await paidOnce(second, cards.visa);
  const [one, other] = await Promise.all([payment(first), payment(second)]);
  assert.equal(one.payment_method_id, other.payment_method_id, "the same token both times");

  // Cards can be taken off the list, and are gone then.
  await toCheckout(page);
  await page.getByRole("button", { name: "Manage cards" }).click();
  await page.getByRole("button", { name: "Remove: Visa ending in 4242" }).click();
  await page.getByRole("group", { name: /for good/ }).getByRole("button", { name: "Remove" }).click();
  await savedVisa(page).waitFor({ state: "detached" });
  await toCheckout(page);
  await fields(page).locator("#sr-number").waitFor();
  assert.equal(await savedVisa(page).count(), 0);
});

visit("who_does_not_ask_for_it_has_no_card_kept", async (page) => {
  await toCheckout(page);
  await type(page, cards.mastercard);
  assert.equal(await page.getByLabel("Save this card for next time").isChecked(), false);
  const paymentId = await paymentOf(page);
  await payButton(page).click();
  await thanked(page);
  await paidOnce(paymentId, cards.mastercard);
  assert.equal((await payment(paymentId)).payment_method_id, null);
  await toCheckout(page);
  await fields(page).locator("#sr-number").waitFor();
  assert.equal(await page.getByRole("radio").count(), 0, "no saved card is offered");
});

visit("a_declined_card_is_said_in_words_and_the_next_one_pays", async (page) => {
  await toCheckout(page);
  await type(page, cards.declined);
  const first = await paymentOf(page);
  await payButton(page).click();
  await page.getByRole("heading", { name: "The payment did not go through" }).waitFor();
  await page.getByText("Nothing was charged").first().waitFor();
  assert.equal((await payment(first)).status, "failed");
  assert.deepEqual(await charged(first), []);
  await page.getByRole("button", { name: "Try again with another card" }).click();
  await type(page, cards.mastercard);
  await payButton(page).click();
  assert.match(await thanked(page), /mastercard, ending in 4444/);
  const { customer_id } = await payment(first);
  const second = (await payments()).find((one) => one.customer_id === customer_id && one.payment_id !== first);
  await paidOnce(second.payment_id, cards.mastercard);
});

visit("a_card_that_is_declined_in_fields_alone_is_said_in_words_too", async (page) => {
  await toCheckout(page, "?with=fields");
  await type(page, cards.declined);
  await payButton(page).click();
  await page.locator("#notice", { hasText: "declined" }).waitFor();
  await type(page, cards.amex);
  await payButton(page).click();
  assert.match(await thanked(page), /ending in 0005/);
});

visit("two_clicks_pay_once", async (page) => {
  await toCheckout(page);
  await type(page, cards.visa);
  const paymentId = await paymentOf(page);
  await payButton(page).dblclick();
  await thanked(page);
  await paidOnce(paymentId, cards.visa);
});

function savedVisa(page) {
  return page.getByRole("radio", { name: /Visa ending in 4242/ });
}

/** Milliseconds from the start of the page until the fields could be typed into. */
function mountedAfter(page) {
  return page.evaluate(() => performance.getEntriesByName("fields-mounted")[0].startTime);
}
