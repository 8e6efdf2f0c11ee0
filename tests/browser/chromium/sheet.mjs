// The payment sheet in each of its states: axe finds nothing in it, and it looks as before.
import assert from "node:assert/strict";
import { charged, world } from "../world.mjs";
import { axe } from "./axe.mjs";
import { visit } from "./browser.mjs";
import { SIZE, samePicture } from "./same.mjs";
import { cards, fields, paidOnce, payButton, paymentOf, thanked, toCheckout, type } from "./shop.mjs";

visit("a_new_customers_sheet_is_sound_in_each_state_and_looks_as_before", async (page, context) => {
  let answer;
  const held = new Promise((go) => (answer = go));
  await page.route(/\/payments\/pay_\w+\?client_secret=/, async (route) => {
    await held;
    await route.continue();
  });
  await toCheckout(page, "?locale=en");
  await page.getByText("Loading ways to pay…").waitFor({ state: "attached" });
  await axe(page.mainFrame());
  answer();
  await fields(page).locator("#sr-number").waitFor();
  await sound(page);
  await samePicture(page, "sheet-new", page.locator("#payment"));

  await context.setOffline(true);
  await page.getByText("You are offline.").waitFor();
  await axe(page.mainFrame());
  await context.setOffline(false);
  await page.getByText("You are offline.").waitFor({ state: "detached" });

  await payButton(page).click();
  await fields(page).getByText("Your card number is incomplete.").first().waitFor();
  await sound(page);

  await type(page, cards.declined);
  const first = await paymentOf(page);
  await payButton(page).click();
  await page.getByRole("heading", { name: "The payment did not go through" }).waitFor();
  await axe(page.mainFrame());
  await samePicture(page, "sheet-failed", page.locator("#payment"));
  assert.deepEqual(await charged(first), []);
  await page.getByRole("button", { name: "Try again with another card" }).click();

  await type(page, cards.bank);
  await payButton(page).click();
  await page.frameLocator("iframe.bank").getByRole("heading", { name: "Simulated 3-D Secure" }).waitFor();
  await axe(page.mainFrame());
  await axe(page.frames().find((frame) => frame.url().startsWith(world.addresses.psp)));
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("heading", { name: "Your bank has a question for you" }).waitFor();
  await axe(page.mainFrame());
  await page.getByRole("button", { name: "Go to your bank" }).click();
  // The shop goes on to its next page at once; here its server says that there is none to go to.
  await page.route("**/thanks?*", (route) => route.fulfill({ status: 204 }));
  await page.frameLocator("iframe.bank").getByRole("button", { name: "Approve" }).click();
  await page.getByRole("heading", { name: "Thank you, that’s paid" }).waitFor();
  await axe(page.mainFrame());
  const second = /pay_\w+(?= succeeded)/.exec(await page.locator("#saw-page").innerText())[0];
  await paidOnce(second, cards.bank);
}, SIZE);

visit("a_repeat_customers_sheet_is_sound_in_each_state_and_looks_as_before", async (page) => {
  await toCheckout(page, "?locale=en");
  await type(page, cards.visa);
  await page.getByLabel("Save this card for next time").check();
  await payButton(page).click();
  await thanked(page);

  await toCheckout(page, "?locale=en");
  const cvc = page.frameLocator('iframe[title="Strongroom CVC field"]').locator("#sr-cvc");
  await cvc.waitFor();
  await sound(page);
  await samePicture(page, "sheet-saved", page.locator("#payment"));
  await payButton(page).click();
  await page.frameLocator('iframe[title="Strongroom CVC field"]').getByText("security code is incomplete").first().waitFor();
  await sound(page);
  await page.getByRole("button", { name: "Manage cards" }).click();
  await page.getByRole("button", { name: "Remove: Visa ending in 4242" }).waitFor();
  await axe(page.mainFrame());
  await page.getByRole("button", { name: "Remove: Visa ending in 4242" }).click();
  await page.getByRole("group", { name: /for good/ }).waitFor();
  await axe(page.mainFrame());
  await page.getByRole("button", { name: "Keep it" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await page.getByRole("radio", { name: "New card" }).check();
  await fields(page).locator("#sr-number").waitFor();
  await sound(page);
}, SIZE);

visit("the_sheet_in_arabic_is_sound_and_looks_as_before", async (page) => {
  await toCheckout(page, "?locale=ar");
  await fields(page).locator("#sr-number").waitFor();
  assert.equal(await page.locator("section.sheet").getAttribute("dir"), "rtl");
  await sound(page);
  await samePicture(page, "sheet-arabic", page.locator("#payment"));
}, SIZE);

/** Axe finds nothing on the page and in the vault's frames on it. */
async function sound(page) {
  for (const frame of page.frames()) {
    if (frame === page.mainFrame() || frame.url().includes("/sdk/")) await axe(frame);
  }
}
