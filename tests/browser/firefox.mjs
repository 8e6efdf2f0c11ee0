// What is tried in Firefox: the ways to pay, and a page of another origin. One browser, a context for each test.
import test, { after, before } from "node:test";
import assert from "node:assert/strict";
import { PATIENCE_MS, cards, charged, elsewhere, eventually, measured, payment, payments, require, shop, world } from "./world.mjs";

const puppeteer = require("puppeteer-core");

let browser;

before(async () => {
  browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: world.browser,
    headless: true,
    // Firefox knows no single key to trust; the world's certificates are checked by everybody else in these tests.
    acceptInsecureCerts: true,
    extraPrefsFirefox: {
      "network.dns.localDomains": "shop.localhost,vault.localhost,elsewhere.localhost",
      "intl.accept_languages": "en-GB",
      "signon.rememberSignons": false,
      "extensions.formautofill.creditCards.enabled": false,
    },
    protocolTimeout: PATIENCE_MS,
  });
});

after(() => browser?.close());

visit("a_new_card_is_paid_with_in_firefox", async (page) => {
  await toCheckout(page, "?with=fields");
  const frame = await fieldsOf(page);
  measured("card fields mounted in Firefox, from the start of the page", await mountedAfter(page));
  await type(frame, cards.visa);
  assert.equal(await frame.$eval("#sr-number", (input) => input.value), "4242 4242 4242 4242");
  const paymentId = await paymentOf(page);
  await page.locator("#pay").click();
  assert.match(await thanked(page), /visa, ending in 4242/);
  await paidOnce(paymentId, cards.visa);
});

visit("a_customer_who_comes_back_pays_with_the_saved_card_in_firefox", async (page) => {
  await toCheckout(page);
  await type(await fieldsOf(page), cards.visa);
  await page.locator(">>> .save input").click();
  const first = await paymentOf(page);
  await page.locator(">>> button.pay").click();
  await thanked(page);
  await paidOnce(first, cards.visa);
  await toCheckout(page);
  const frame = await fieldsOf(page, "#sr-cvc");
  await page.waitForSelector(">>> .option.chosen", { timeout: PATIENCE_MS });
  await frame.type("#sr-cvc", "123");
  assert.equal(await frame.$("#sr-number"), null, "no card is typed again");
  const second = await paymentOf(page);
  await page.locator(">>> button.pay").click();
  await thanked(page);
  await paidOnce(second, cards.visa);
});

visit("a_declined_card_is_said_in_words_and_the_next_one_pays_in_firefox", async (page) => {
  await toCheckout(page);
  await type(await fieldsOf(page), cards.declined);
  const first = await paymentOf(page);
  await page.locator(">>> button.pay").click();
  await page.waitForSelector(">>> .end button", { timeout: PATIENCE_MS });
  assert.match(await textOfSheet(page), /Nothing was charged/);
  assert.equal((await payment(first)).status, "failed");
  await page.locator(">>> .end button").click();
  await type(await fieldsOf(page), cards.mastercard);
  await page.locator(">>> button.pay").click();
  assert.match(await thanked(page), /mastercard, ending in 4444/);
  const { customer_id } = await payment(first);
  const second = (await payments()).find((one) => one.customer_id === customer_id && one.payment_id !== first);
  await paidOnce(second.payment_id, cards.mastercard);
});

visit("the_bank_asks_in_a_frame_in_firefox", async (page) => {
  await toCheckout(page);
  await type(await fieldsOf(page), cards.bank);
  const paymentId = await paymentOf(page);
  await page.locator(">>> button.pay").click();
  const bank = await page.waitForFrame((frame) => frame.url().startsWith(world.addresses.psp), { timeout: PATIENCE_MS });
  await bank.locator("button[value=approve]").click();
  await thanked(page);
  await paidOnce(paymentId, cards.bank);
});

visit("a_page_of_another_origin_gets_no_fields_in_firefox", async (page, faults) => {
  await toCheckout(page, "?with=fields", elsewhere);
  await eventually("the page to be told", () => page.$eval("#notice", (notice) => !notice.hidden && notice.textContent !== ""));
  for (const frame of page.frames().filter((one) => one !== page.mainFrame())) {
    const fields = await frame.$$("input").catch(() => []);
    assert.equal(fields.length, 0, "no field came up");
  }
  // Firefox tells the page what it refused; that is what was wanted, and nothing else may have gone wrong.
  assert.ok(faults.some((fault) => fault.includes("frame-ancestors")), faults.join("\n"));
  faults.splice(0, faults.length, ...faults.filter((fault) => !/frame-ancestors|recipient window’s origin/.test(fault)));
});

function visit(name, act) {
  test(name, async () => {
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const faults = [];
    page.on("pageerror", (fault) => faults.push(fault.message));
    try {
      await act(page, faults);
    } catch (fault) {
      const text = await page.$eval("main", (main) => main.innerText).catch(() => "(no page)");
      fault.message += `\n  at ${page.url()}\n  page: ${text.replaceAll("\n", " | ").slice(0, 600)}`;
      throw fault;
    } finally {
      await context.close();
    }
    assert.deepEqual(faults, []);
  });
}

async function toCheckout(page, query = "", at = shop) {
  await page.goto(`${at}/`);
  await page.locator('button[value="morning-fern"]').click();
  await eventually("the basket", () => page.url().endsWith("/basket"));
  await page.goto(`${at}/checkout${query}`);
}

/** The vault's frame, once there is something to type into. */
async function fieldsOf(page, field = "#sr-number") {
  return eventually("the vault's fields", async () => {
    for (const frame of page.frames()) {
      if (frame.url().includes("/sdk/") && (await frame.$(field).catch(() => null)) !== null) return frame;
    }
    return undefined;
  });
}

async function type(frame, card) {
  await frame.type("#sr-number", card.number);
  await frame.type("#sr-expiry", "1234");
  await frame.type("#sr-cvc", card.cvc);
}

async function paymentOf(page) {
  const note = await page.$$eval("#saw-page li", (lines) => lines.map((line) => line.textContent).find((text) => text.includes("has pay_")));
  return /pay_\w+/.exec(note)[0];
}

async function thanked(page) {
  await eventually("the page of thanks", async () => (await page.$eval("h1", (title) => title.textContent).catch(() => "")) === "Thank you!");
  return page.$eval("#outcome", (outcome) => outcome.innerText);
}

function textOfSheet(page) {
  return page.$eval("#payment > div", (host) => host.shadowRoot.querySelector(".end").innerText);
}

function mountedAfter(page) {
  return page.evaluate(() => performance.getEntriesByName("fields-mounted")[0].startTime);
}

async function paidOnce(paymentId, card) {
  assert.deepEqual(await charged(paymentId), [`authorize 1250 ${card.last4}`, `capture 1250 ${card.last4}`]);
  assert.equal((await payment(paymentId)).status, "succeeded");
}
