// Both flows with an external vault, step by step: who asked whom for what, and who saw the card.
import assert from "node:assert/strict";
import { charged, eventually, holdsNumber, pay, payment, shop, vault, world } from "../world.mjs";
import { visit } from "./browser.mjs";
import { cards, fields, pageHoldsNo, paidOnce, payButton, paymentOf, thanked, toCheckout, type } from "./shop.mjs";

visit("a_new_and_then_a_repeat_customer_pay_in_the_steps_of_both_flows", async (page) => {
  const talk = listen(page);
  const first = await newCustomer(page, talk);
  talk.forget();
  await repeatCustomer(page, talk, first);
});

async function newCustomer(page, talk) {
  // 1. The shop's server makes a payment, and its page gets the client secret.
  await toCheckout(page);
  await fields(page).locator("#sr-number").waitFor();
  assert.equal(talk.one("POST", `${shop}/api/checkout`).status, 200);
  const payment_id = await paymentOf(page);
  const begun = await payment(payment_id);
  const { client_secret } = begun;
  assert.deepEqual([begun.status, begun.amount, begun.currency], ["requires_payment_method", 1250, "EUR"]);

  // 2. The SDK asks the orchestrator with the client secret how to pay. Nobody is known here yet.
  const asked = talk.one("GET", `${pay}/payments/${payment_id}?client_secret=${client_secret}`);
  const saved = talk.one("GET", `${pay}/customers/payment_methods?client_secret=${client_secret}`);
  assert.deepEqual([asked.status, saved.status], [200, 200]);
  assert.ok(talk.place(asked) < talk.place(saved));
  assert.deepEqual(await savedCards(client_secret), []);

  // 3. The card is typed in the vault's frame. Nothing is sent meanwhile, and the page holds none of it.
  const before = talk.sendings();
  await type(page, cards.visa);
  await page.getByLabel("Save this card for next time").check();
  assert.equal(talk.sendings(), before, "typing sends nothing");
  await pageHoldsNo(page, cards.visa);

  // 4. The click hands the sealed card to the vault and its name to the orchestrator, which has the provider authorize.
  await payButton(page).click();
  await thanked(page);
  const stored = talk.one("POST", `${vault}/v1/payment_methods`);
  assert.deepEqual(Object.keys(JSON.parse(stored.sent)).sort(), ["encrypted_card", "storage", "type"]);
  const confirmed = talk.one("POST", `${pay}/payments/${payment_id}/confirm`);
  const { payment_method_id } = JSON.parse(confirmed.sent);
  assert.match(payment_method_id, /^pm_[0-9a-f]{32}$/);
  assert.deepEqual([stored.status, confirmed.status], [201, 200]);
  assert.ok(talk.place(stored) < talk.place(confirmed));
  assert.deepEqual(await charged(payment_id), ["authorize 1250 4242", "capture 1250 4242"]);

  // 5. The vault keeps the card once the provider has said yes. The orchestrator had it for that one call.
  const entries = await eventually("the vault's entries", async () => {
    const all = await entriesOf();
    const kept = all.find((entry) => entry.act === "retain" && entry.subject === payment_method_id);
    return kept === undefined ? undefined : all;
  });
  const came = only(entries, (entry) => entry.act === "tokenize" && entry.subject === payment_method_id);
  const went = only(entries, (entry) => entry.act === "reveal" && entry.note.includes(payment_id));
  // The page of thanks has the orchestrator look, too, which may ask the vault once more to keep what it keeps.
  const [kept] = entries.filter((entry) => entry.act === "retain" && entry.subject === payment_method_id);
  assert.deepEqual([came, went, kept].map((entry) => entry.outcome), ["allowed", "allowed", "allowed"]);
  assert.match(came.who, /^session:/);
  assert.equal(went.subject, payment_method_id);
  assert.match(went.who, /\/orchestrator\//);
  assert.ok(came.index < went.index && went.index < kept.index, "in this order");

  // 6. The end goes back to the page, which goes on to the shop's address.
  await page.locator("#saw-page li", { hasText: `${payment_id} succeeded` }).waitFor();
  await paidOnce(payment_id, cards.visa);
  const { return_url, customer_id } = await payment(payment_id);
  assert.equal(page.url(), return_url);
  assert.equal((await payment(payment_id)).payment_method_id, payment_method_id);
  talk.holdsNo(cards.visa);
  return { payment_id, payment_method_id, customer_id };
}

async function repeatCustomer(page, talk, first) {
  // 1. Another payment of the same person.
  await toCheckout(page);
  const frame = page.frameLocator('iframe[title="Strongroom CVC field"]');
  await frame.locator("#sr-cvc").waitFor();
  assert.equal(talk.one("POST", `${shop}/api/checkout`).status, 200);
  const payment_id = await paymentOf(page);
  const { client_secret } = await payment(payment_id);
  assert.notEqual(payment_id, first.payment_id);
  assert.equal((await payment(payment_id)).customer_id, first.customer_id);

  // 2. Instead of fields for a number there are saved cards, without their numbers.
  talk.one("GET", `${pay}/customers/payment_methods?client_secret=${client_secret}`);
  const saved = await savedCards(client_secret);
  assert.equal(saved.length, 1);
  assert.equal(saved[0].payment_method_id, first.payment_method_id);
  assert.equal(saved[0].card.last4_digits, "4242");
  assert.ok(!holdsNumber(JSON.stringify(saved), cards.visa));

  // 3. The card is chosen already; its CVC, which nobody may keep, is typed in a frame of the vault.
  assert.ok(await page.getByRole("radio", { name: /Visa ending in 4242/ }).isChecked());
  await frame.locator("#sr-cvc").pressSequentially(cards.visa.cvc);
  assert.equal(await fields(page).locator("#sr-number").count(), 0, "no number is asked for");
  await payButton(page).click();
  await thanked(page);

  // 4. The page names the saved card; the vault releases it to the orchestrator once, for this payment.
  assert.equal(talk.all("POST", `${vault}/v1/payment_methods`).length, 0, "no card came in");
  isSealed(talk.one("POST", `${vault}/v1/payment_methods/${first.payment_method_id}/cvc`));
  const confirmed = talk.one("POST", `${pay}/payments/${payment_id}/confirm`);
  assert.equal(confirmed.status, 200);
  assert.equal(typeof JSON.parse(confirmed.sent).payment_token, "string");
  assert.equal(JSON.parse(confirmed.sent).payment_method_id, undefined);
  const went = await eventually("the vault's entry", async () =>
    (await entriesOf()).find((entry) => entry.act === "reveal" && entry.note.includes(payment_id)),
  );
  assert.deepEqual([went.outcome, went.subject], ["allowed", first.payment_method_id]);
  only(await entriesOf(), (entry) => entry.act === "reveal" && entry.note.includes(payment_id));

  // 5. The provider charged that card.
  assert.deepEqual(await charged(payment_id), ["authorize 1250 4242", "capture 1250 4242"]);

  // 6. The end goes back to the page, which goes on to the shop's address.
  await page.locator("#saw-page li", { hasText: `${payment_id} succeeded` }).waitFor();
  await paidOnce(payment_id, cards.visa);
  assert.equal(page.url(), (await payment(payment_id)).return_url);
  talk.holdsNo(cards.visa);
}

/** A CVC was sent, and sealed: what is sent has no place for digits, and is not their spelling in other letters. */
function isSealed({ sent, status }) {
  assert.equal(status, 200);
  const { encrypted_cvc, ...more } = JSON.parse(sent);
  assert.deepEqual(more, {}, "nothing is sent beside it");
  assert.deepEqual(Object.keys(encrypted_cvc).sort(), ["ciphertext", "enc", "key_id"]);
  assert.match(encrypted_cvc.key_id, /^ik_[0-9]{1,10}$/);
  const [enc, ciphertext] = [encrypted_cvc.enc, encrypted_cvc.ciphertext].map((text) => Buffer.from(text, "base64url"));
  // A key of X25519; what is sealed is filled up to one length, so that it does not tell its own. 16 bytes are the tag.
  assert.deepEqual([enc.length, ciphertext.length], [32, 512 + 16]);
  // Three digits stand in random bytes now and then; five letters of the plain text do not.
  assert.ok(!ciphertext.includes('"cvc"'), "it is only written differently");
}

/** Every request of the page and of the frames on it, in its order, but for the panel's. */
function listen(page) {
  let heard = [];
  page.on("response", (answer) => {
    const request = answer.request();
    if (request.method() === "OPTIONS" || request.url() === `${shop}/api/panel`) return;
    heard.push({ method: request.method(), url: request.url(), sent: request.postData() ?? "", status: answer.status() });
  });
  const all = (method, url) => heard.filter((one) => one.method === method && one.url === url);
  const one = (method, url) => {
    const [found, ...more] = all(method, url);
    assert.ok(found !== undefined, `nobody asked ${method} ${url}`);
    assert.equal(more.length, 0, `${method} ${url} was asked more than once`);
    return found;
  };
  return {
    all,
    one,
    place: (one) => heard.indexOf(one),
    sendings: () => heard.filter((one) => one.method !== "GET").length,
    forget: () => (heard = []),
    /** Neither the shop nor the orchestrator nor the vault was sent a number as it is. */
    holdsNo: (card) => {
      for (const { url, sent } of heard) assert.ok(!holdsNumber(`${url} ${sent}`, card), `${url} was sent the number`);
    },
  };
}

/** The customer's saved cards, as the page's SDK asks for them. */
async function savedCards(client_secret) {
  const headers = { "api-key": world.publishable_key };
  const answer = await fetch(`${pay}/customers/payment_methods?client_secret=${client_secret}`, { headers });
  return (await answer.json()).customer_payment_methods;
}

/** The newest entries of the vault's audit log that are about cards, from the shop's panel, which reads them as an auditor. */
async function entriesOf() {
  // Browsers find every name below localhost on this machine, and Node does not.
  const answer = await fetch(`${shop.replace("//shop.localhost", "//localhost")}/api/panel`);
  return (await answer.json()).vault;
}

function only(entries, is) {
  const found = entries.filter(is);
  assert.equal(found.length, 1, JSON.stringify(found.length === 0 ? entries : found));
  return found[0];
}
