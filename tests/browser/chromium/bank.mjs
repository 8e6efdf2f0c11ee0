// 3-D Secure: the bank wants to see its customer, in a frame on the shop's page or on a page of its own.
import assert from "node:assert/strict";
import { charged, payment } from "../world.mjs";
import { visit } from "./browser.mjs";
import { cards, paidOnce, payButton, paymentOf, thanked, toCheckout, type } from "./shop.mjs";

visit("the_bank_asks_in_a_frame_and_the_payment_is_made", async (page) => {
  await toCheckout(page);
  await type(page, cards.bank);
  const paymentId = await paymentOf(page);
  await payButton(page).click();
  const bank = page.frameLocator("iframe.bank");
  await bank.getByRole("heading", { name: "Simulated 3-D Secure" }).waitFor();
  assert.deepEqual(await charged(paymentId), []);
  await bank.getByRole("button", { name: "Approve" }).click();
  await thanked(page);
  await paidOnce(paymentId, cards.bank);
});

visit("what_the_bank_refuses_in_its_frame_is_not_paid", async (page) => {
  await toCheckout(page);
  await type(page, cards.bank);
  const paymentId = await paymentOf(page);
  await payButton(page).click();
  await page.frameLocator("iframe.bank").getByRole("button", { name: "Fail" }).click();
  await page.getByRole("heading", { name: "The payment did not go through" }).waitFor();
  assert.equal((await payment(paymentId)).status, "failed");
  assert.deepEqual(await charged(paymentId), []);
});

for (const [way, query] of [["sheet", "?bank=redirect"], ["fields", "?with=fields"]]) {
  visit(`the_bank_asks_on_its_own_page_and_the_payment_of_the_${way}_is_made`, async (page) => {
    await toCheckout(page, query);
    await type(page, cards.bank);
    const paymentId = await paymentOf(page);
    await payButton(page).click();
    await page.getByRole("heading", { name: "Simulated 3-D Secure" }).waitFor();
    assert.deepEqual(await charged(paymentId), []);
    await page.getByRole("button", { name: "Approve" }).click();
    await thanked(page);
    await paidOnce(paymentId, cards.bank);
  });
}

visit("what_the_address_of_the_page_of_thanks_says_is_no_proof", async (page) => {
  await toCheckout(page, "?bank=redirect");
  await type(page, cards.bank);
  const paymentId = await paymentOf(page);
  await payButton(page).click();
  await page.getByRole("button", { name: "Fail" }).click();
  await page.waitForURL(/\/thanks/);
  await page.getByRole("heading", { name: "Not paid" }).waitFor();
  assert.equal((await payment(paymentId)).status, "failed");
  await page.goto(page.url().replace("status=failed", "status=succeeded"));
  await page.getByRole("heading", { name: "Not paid" }).waitFor();
  assert.deepEqual(await charged(paymentId), []);
});
