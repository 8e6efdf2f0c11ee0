// Networks that go away in the middle, and answers that get lost.
import assert from "node:assert/strict";
import { charged } from "../world.mjs";
import { visit } from "./browser.mjs";
import { cards, eventually, paidOnce, payButton, paymentOf, thanked, toCheckout, type } from "./shop.mjs";

visit("who_goes_offline_at_the_click_is_told_and_pays_once_when_back", async (page, context) => {
  await toCheckout(page);
  await type(page, cards.visa);
  const paymentId = await paymentOf(page);
  await context.setOffline(true);
  await payButton(page).click();
  await page.getByText(/no connection|You are offline/).first().waitFor();
  assert.deepEqual(await charged(paymentId), []);
  await context.setOffline(false);
  await payUntilThanked(page);
  await paidOnce(paymentId, cards.visa);
});

visit("a_confirmation_whose_answer_gets_lost_pays_once", async (page) => {
  await toCheckout(page);
  await type(page, cards.visa);
  const paymentId = await paymentOf(page);
  const lost = await loseAnswers(page, "**/confirm");
  await payButton(page).click();
  await eventually("the answer to be lost", () => lost.count > 0);
  await payUntilThanked(page);
  await paidOnce(paymentId, cards.visa);
});

visit("a_stored_card_whose_answer_gets_lost_is_stored_and_paid_once", async (page) => {
  await toCheckout(page, "?with=fields");
  await type(page, cards.visa);
  const paymentId = await paymentOf(page);
  const lost = await loseAnswers(page, "**/v1/payment_methods");
  await payButton(page).click();
  await eventually("the answer to be lost", () => lost.count > 0);
  await payUntilThanked(page);
  await paidOnce(paymentId, cards.visa);
});

/** The first answer to a POST there is given by the server and never reaches the page. */
async function loseAnswers(page, where) {
  const lost = { count: 0 };
  await page.route(where, async (route) => {
    if (route.request().method() !== "POST" || lost.count > 0) return route.continue();
    // Browsers find every name below localhost on this machine, and Node does not.
    const answer = await route.fetch({ url: route.request().url().replace("//vault.localhost", "//localhost") });
    assert.ok(answer.ok(), `the server answered ${answer.status()}`);
    lost.count += 1;
    await route.abort("connectionreset");
  });
  return lost;
}

/** Clicks again for as long as the page says that it could not; the card is typed again where the fields are empty. */
async function payUntilThanked(page) {
  await eventually("the payment", async () => {
    if (page.url().includes("/thanks")) return true;
    const button = payButton(page);
    if ((await button.count()) === 1 && (await button.isEnabled({ timeout: 500 }).catch(() => false))) {
      await button.click({ timeout: 500 }).catch(() => {});
    }
    return false;
  });
  await thanked(page);
}
