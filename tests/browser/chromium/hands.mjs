// Other hands than a mouse: keyboard alone, languages from right to left, forms that browsers fill, screen readers.
import assert from "node:assert/strict";
import { axe } from "./axe.mjs";
import { visit } from "./browser.mjs";
import { cards, eventually, fields, paidOnce, payButton, paymentOf, thanked, toCheckout, type } from "./shop.mjs";

visit("who_has_a_keyboard_alone_can_pay", async (page) => {
  await toCheckout(page, "?with=fields");
  await fields(page).locator("#sr-number").waitFor();
  await page.locator("#contact [name=name]").focus();
  await page.keyboard.type("Ada Lovelace");
  await page.keyboard.press("Tab");
  await page.keyboard.type("ada@shop.example");
  await page.keyboard.press("Tab");
  await eventually("the caret to be in the number", () => hasFocus(page, "sr-number"));
  await page.keyboard.type(cards.visa.number);
  await eventually("the caret to go on to the expiry by itself", () => hasFocus(page, "sr-expiry"));
  await page.keyboard.type("1234");
  await eventually("the caret to go on to the CVC by itself", () => hasFocus(page, "sr-cvc"));
  await page.keyboard.type("123");
  const paymentId = await paymentOf(page);
  await page.keyboard.press("Tab");
  await eventually("the button to be reached", () => page.evaluate(() => document.activeElement?.id === "pay"));
  await page.keyboard.press("Enter");
  await thanked(page);
  await paidOnce(paymentId, cards.visa);
});

visit("who_goes_back_by_keyboard_finds_the_faults_in_words", async (page) => {
  await toCheckout(page, "?with=fields");
  const number = fields(page).locator("#sr-number");
  await number.pressSequentially("4242424242424241");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Shift+Tab");
  await eventually("the caret to be back in the number", () => hasFocus(page, "sr-number"));
  assert.equal(await number.getAttribute("aria-invalid"), "true");
  const said = fields(page).locator("#sr-number-fault");
  assert.equal(await said.innerText(), "Your card number is not valid. Please check it.");
  assert.ok((await number.getAttribute("aria-describedby")).includes("sr-number-fault"));
});

visit("arabic_runs_from_right_to_left_and_digits_do_not", async (page) => {
  await toCheckout(page, "?with=fields&locale=ar");
  await type(page, cards.visa);
  const html = fields(page).locator("html");
  assert.deepEqual([await html.getAttribute("dir"), await html.getAttribute("lang")], ["rtl", "ar"]);
  const number = fields(page).locator("#sr-number");
  assert.equal(await number.inputValue(), "4242 4242 4242 4242");
  assert.equal(await number.evaluate((input) => getComputedStyle(input).direction), "ltr");
  assert.match(await fields(page).locator('label[for="sr-number"]').innerText(), /[\u0600-\u06ff]/);
  // Expiry comes first in the row, which is to the right of the CVC.
  const [expiry, cvc] = await Promise.all(["#sr-expiry", "#sr-cvc"].map((id) => fields(page).locator(id).boundingBox()));
  assert.ok(expiry.x > cvc.x, "fields follow the language");
  const paymentId = await paymentOf(page);
  await payButton(page).click();
  await thanked(page);
  await paidOnce(paymentId, cards.visa);
});

visit("each_language_has_words_of_its_own", async (page) => {
  const labels = new Map();
  for (const locale of ["en", "de", "fr", "es", "ja", "ar"]) {
    await toCheckout(page, `?with=fields&locale=${locale}`);
    labels.set(locale, await fields(page).locator('label[for="sr-expiry"]').innerText());
  }
  assert.equal(new Set(labels.values()).size, 6, JSON.stringify([...labels]));
});

visit("a_browser_that_fills_the_form_is_understood", async (page) => {
  await toCheckout(page, "?with=fields");
  const tokens = { number: "cc-number", expiry: "cc-exp", cvc: "cc-csc" };
  for (const [name, token] of Object.entries(tokens)) {
    const field = fields(page).locator(`#sr-${name}`);
    assert.equal(await field.getAttribute("autocomplete"), token);
    assert.equal(await field.getAttribute("inputmode"), "numeric");
  }
  // Browsers set values all at once and send an event for each; the year may have four digits.
  await fields(page).locator("#sr-number").evaluate(
    (number, values) => {
      for (const [id, value] of Object.entries(values)) {
        const input = number.ownerDocument.getElementById(id);
        input.value = value;
        input.dispatchEvent(new Event("input", { bubbles: true }));
        input.dispatchEvent(new Event("change", { bubbles: true }));
      }
    },
    { "sr-number": cards.mastercard.number, "sr-expiry": "12/2034", "sr-cvc": "123" },
  );
  assert.equal(await fields(page).locator("#sr-number").inputValue(), "5555 5555 5555 4444");
  assert.match(await fields(page).locator("#sr-expiry").inputValue(), /^12 ?\/ ?34$/);
  const paymentId = await paymentOf(page);
  await payButton(page).click();
  await thanked(page);
  await paidOnce(paymentId, cards.mastercard);
});

visit("axe_finds_nothing_on_the_shops_pages_and_in_the_fields", async (page) => {
  await page.goto("about:blank");
  for (const query of ["?with=fields", "?with=fields&locale=ar"]) {
    await toCheckout(page, query);
    await fields(page).locator("#sr-number").pressSequentially("42");
    await fields(page).locator("#sr-number").blur();
    await fields(page).locator("#sr-number-fault").waitFor();
    await axe(page.frames().find((frame) => frame.url().includes("/sdk/")));
    await axe(page.mainFrame());
  }
  for (const path of ["/", "/basket", "/account"]) {
    await page.goto(new URL(path, page.url()).href);
    await axe(page.mainFrame());
  }
});

async function hasFocus(page, id) {
  const frame = page.frames().find((one) => one.url().includes("/sdk/"));
  return frame?.evaluate((id) => document.hasFocus() && document.activeElement?.id === id, id);
}
