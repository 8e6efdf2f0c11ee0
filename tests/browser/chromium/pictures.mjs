// The fields as they look, held against pictures of before.
import { visit } from "./browser.mjs";
import { SIZE, samePicture } from "./same.mjs";
import { cards, fields, toCheckout, type } from "./shop.mjs";

for (const [name, query, act] of [
  ["fields-empty", "?with=fields&locale=en", async () => {}],
  ["fields-typed", "?with=fields&locale=en", async (page) => type(page, cards.visa)],
  ["fields-wrong", "?with=fields&locale=en", wrong],
  ["fields-arabic", "?with=fields&locale=ar", async (page) => type(page, cards.amex)],
  ["fields-japanese", "?with=fields&locale=ja", async () => {}],
]) {
  visit(`${name.replace("-", "_")}_look_as_before`, async (page) => {
    await toCheckout(page, query);
    await fields(page).locator("#sr-number").waitFor();
    await act(page);
    await samePicture(page, name, page.locator("#payment"));
  }, SIZE);
}

async function wrong(page) {
  await fields(page).locator("#sr-number").pressSequentially("4242424242424241");
  await fields(page).locator("#sr-expiry").pressSequentially("12/20");
  await fields(page).locator("#sr-cvc").pressSequentially("1");
  await fields(page).locator("#sr-number").focus();
}
