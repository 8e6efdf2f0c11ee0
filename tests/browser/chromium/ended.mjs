// Sessions at the vault that end while somebody types. The pages are opened before all tests, because a session that a
// slow machine can begin with lives for two minutes; what is typed early is paid with late.
import test from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { charged, payment, shop, world } from "../world.mjs";
import { axe } from "./axe.mjs";
import { newContext } from "./browser.mjs";
import { cards, eventually, fields, paidOnce, payButton, paymentOf, thanked, toCheckout, type } from "./shop.mjs";

let alone, sheet, saved, refused;

/** Opens the pages under short sessions and types what comes first. */
export async function typeEarly() {
  alone = await open("**/api/session", "?with=fields");
  await typeHalf(alone.page);
  sheet = await open("**/vault_session", "");
  await typeHalf(sheet.page);
  refused = await open("**/vault_session", "", { then: refuse });
  await typeHalf(refused.page);
  // Of somebody who was here before.
  const page = await (await newContext()).newPage();
  await toCheckout(page);
  await type(page, cards.visa);
  await page.getByLabel("Save this card for next time").check();
  await payButton(page).click();
  await thanked(page);
  saved = await open("**/vault_session", "", { page });
  await cvcOf(page).waitFor();
}

/** Registers the tests that go on; they run when their time has come in the order of all. */
export function endLate() {
  for (const [name, of] of [["fields", () => alone], ["sheet", () => sheet]]) {
    test(`who_types_in_the_${name}_while_the_session_ends_pays_once_and_types_nothing_again`, async () => {
      const { page, session, asked } = of();
      const paymentId = await paymentOf(page);
      await ended(session());
      const stored = storedBy(page);
      assert.equal(await fields(page).locator("#sr-number").inputValue(), "4242 4242 4242 4242", "what was typed is there");
      await fields(page).locator("#sr-cvc").pressSequentially(cards.visa.cvc);
      await payButton(page).click();
      await thanked(page);
      await paidOnce(paymentId, cards.visa);
      assert.equal(asked.count, 2, "one new session was asked for");
      assert.deepEqual(stored.filter((status) => status < 300).length, 1, "the card was stored once");
      await page.context().close();
    });
  }

  test("who_types_the_cvc_of_a_saved_card_while_the_session_ends_pays_once", async () => {
    const { page, session, asked } = saved;
    const paymentId = await paymentOf(page);
    await ended(session());
    await cvcOf(page).pressSequentially(cards.visa.cvc);
    await payButton(page).click();
    await thanked(page);
    await paidOnce(paymentId, cards.visa);
    assert.equal(asked.count, 2, "one new session was asked for");
    await page.context().close();
  });

  test("who_gets_no_new_session_is_told_what_to_do_and_pays_once", async () => {
    const { page, session } = refused;
    const old = await paymentOf(page);
    await ended(session());
    await fields(page).locator("#sr-cvc").pressSequentially(cards.visa.cvc);
    await payButton(page).click();
    await page.getByRole("heading", { name: "This page was open for too long" }).waitFor();
    await page.getByText("Nothing was charged").first().waitFor();
    await axe(page.mainFrame());
    await page.unroute("**/vault_session");
    await page.getByRole("button", { name: "Start over" }).click();
    await type(page, cards.visa);
    const fresh = await paymentOf(page);
    await payButton(page).click();
    await thanked(page);
    await paidOnce(fresh, cards.visa);
    if (fresh !== old) assert.deepEqual(await charged(old), []);
    await page.context().close();
  });
}

/** A checkout whose first session is a short one. Whoever asks again is answered by the server, or as `then` says. */
async function open(where, query, { page, then = (route) => toServer(route) } = {}) {
  page ??= await (await newContext()).newPage();
  const asked = { count: 0 };
  let session;
  await page.route(where, async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    asked.count += 1;
    if (asked.count > 1) return then(route);
    const { customer_id } = await payment(await paymentOf(page));
    session = await shortSession(customer_id);
    return route.fulfill({ json: session, headers: { "access-control-allow-origin": shop } });
  });
  await toCheckout(page, query);
  return { page, asked, session: () => session };
}

function toServer(route) {
  return route.continue();
}

/** As the orchestrator answers when the payment has had its share. */
function refuse(route) {
  const error = { type: "invalid_request", code: "IR_16", message: "As many vault sessions were opened for this payment as are allowed" };
  return route.fulfill({ status: 400, json: { error }, headers: { "access-control-allow-origin": shop } });
}

async function typeHalf(page) {
  await fields(page).locator("#sr-number").pressSequentially(cards.visa.number);
  await fields(page).locator("#sr-expiry").pressSequentially("1234");
}

function cvcOf(page) {
  return page.frameLocator('iframe[title="Strongroom CVC field"]').locator("#sr-cvc");
}

/** The statuses with which the vault answers to cards of this page. */
function storedBy(page) {
  const statuses = [];
  page.on("response", (answer) => {
    const isCard = answer.request().method() === "POST" && new URL(answer.url()).pathname === "/v1/payment_methods";
    if (isCard) statuses.push(answer.status());
  });
  return statuses;
}

/** Waits until the vault itself refuses the session. */
async function ended({ client_secret, expires_at }) {
  // How long that takes is known, and may be longer than the tests' patience.
  await new Promise((done) => setTimeout(done, Date.parse(expires_at) - Date.now()));
  await eventually("the session's end", () => Date.now() > Date.parse(expires_at));
  const answer = await fetch(`${world.intake}/v1/payment_methods`, {
    method: "POST",
    headers: { origin: shop, authorization: `Bearer ${client_secret}`, "content-type": "application/json" },
    body: "{}",
  });
  assert.equal(answer.status, 401);
}

/** A session of the vault for this shop's pages, as an orchestrator gets it, that lives for two minutes. */
function shortSession(customer_id) {
  const { url, tenant, certificate, key, ca } = world.release;
  const body = JSON.stringify({ customer_id, allowed_origins: [shop], expires_in: LIFE_S });
  const options = {
    method: "POST",
    cert: readFileSync(certificate),
    key: readFileSync(key),
    ca: readFileSync(ca),
    headers: { "strongroom-tenant": tenant, "content-type": "application/json" },
  };
  return new Promise((done, failed) => {
    const asking = request(`${url}/v1/sessions`, options, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part));
      answer.on("end", () => {
        if (answer.statusCode < 300) done(JSON.parse(text));
        else failed(new Error(`the vault answered ${answer.statusCode}: ${text}`));
      });
    });
    asking.on("error", failed).end(body);
  });
}

/** Long enough for a slow machine to load a frame in, and short enough to be waited for. */
const LIFE_S = 120;
