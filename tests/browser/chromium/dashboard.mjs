// The operators' dashboard: who comes in, what they see, what they may change, and with which hands.
import assert from "node:assert/strict";
import { cards, desk, eventually, holdsNumber, pay, shop, world } from "../world.mjs";
import { axe } from "./axe.mjs";
import { newContext, visit } from "./browser.mjs";

const { merchant, second_account } = desk;

visit("who_has_no_right_password_stays_outside_and_who_logged_out_is_outside_again", async (page, context) => {
  const wanted = `${pay}/dashboard/connectors?merchant=${merchant}`;
  await page.goto(wanted);
  await sound(page, "Operators' dashboard");
  await enter(page, desk.editor, `${desk.password} or so`);
  await page.locator("#login-refused").waitFor();
  assert.equal(await page.locator("#password").inputValue(), "");
  await sound(page, "Operators' dashboard");
  assert.deepEqual(await context.cookies(), []);
  await page.goto(wanted);
  await enter(page, desk.editor, desk.password);
  await page.waitForURL(wanted);
  const [cookie, ...others] = await context.cookies();
  assert.deepEqual(others, []);
  assert.deepEqual([cookie.httpOnly, cookie.secure, cookie.sameSite], [true, true, "Strict"]);
  assert.equal(await statusWith(cookie, wanted), 200);
  await page.locator("#log-out").click();
  await page.locator("#log-in").waitFor();
  // Neither the browser's history nor a cookie that somebody kept leads back in.
  await page.goBack();
  await page.locator("#log-in").waitFor();
  assert.equal(await statusWith(cookie, wanted), 303);
});

visit("an_operator_finds_a_payment_and_everything_that_was_tried_for_it", async (page) => {
  const { paid, declined } = await story();
  await logIn(page, desk.editor, `/dashboard/payments?merchant=${merchant}`);
  await sound(page, "Payments");
  const row = page.locator("#payments tbody tr", { hasText: paid });
  assert.match(await row.innerText(), /succeeded\s+42\.00 EUR\s+Visa ···· 4242\s+stripe\s+1/);
  await page.locator("#state").selectOption("failed");
  await page.locator("#filter").click();
  await page.waitForURL(/state=failed/);
  assert.equal(await page.locator("#payments").getByText(paid).count(), 0);
  await page.getByRole("link", { name: declined }).click();
  await sound(page, declined);
  assert.match(await page.locator("#timeline").innerText(), /Payment made.*Attempt 1 at stripe.*failed.*declined/s);
  assert.match(await page.locator("#attempts").innerText(), /failed.*declined/s);

  // By its id, as somebody types it who has it from a shop.
  await page.locator("#to-payments").click();
  await page.locator("#id").fill(paid);
  await page.locator("#filter").click();
  await page.locator("#payment", { hasText: paid }).waitFor();
  const told = /Payment made.*Attempt 1 at stripe.*money was taken.*Webhook to the merchant: payment succeeded.*delivered/s;
  await eventually("the merchant to be told", async () => {
    await page.reload();
    return told.test(await page.locator("#timeline").innerText());
  });
  await sound(page, paid);
  await page.locator("#to-connectors").click();
  await sound(page, "Connectors");
  const [first, second] = await page.locator("section.account").allInnerTexts();
  assert.match(first, /enabled\s+works.*[1-9]\d* authorized, [1-9]\d* failed, 0 open.*Last failure.*declined/s);
  assert.ok(second.includes(second_account) && second.includes("works"), second);
  await page.locator("#to-overview").click();
  await sound(page, "Overview");
  assert.match(await page.locator("#tile-rate").innerText(), /^\d+\.\d %$/);
});

ruling("rules_are_checked_and_tried_before_they_are_saved_and_decide_then", async (page) => {
  await story();
  await logIn(page, desk.editor, `/dashboard/routing?merchant=${merchant}`);
  await sound(page, "Routing");
  const bad = '{"rules": [\n{"use": {"order": ["nowhere"]}}]}';
  await page.locator("#rules").fill(bad);
  await page.locator("#save").click();
  assert.match(await page.locator("#invalid").innerText(), /line 2: rules\[0\].*no connector account.*Nothing was saved/s);
  assert.equal(await page.locator("#rules").inputValue(), bad, "nobody types it again");
  await sound(page, "Routing");
  await page.locator("#rules").fill(rulesFor(second_account));
  await page.locator("#validate").click();
  assert.match(await page.locator("#valid").innerText(), /1 rule.*Nothing was saved/s);
  await page.locator("#dry-run-start").click();
  const summary = await page.locator("#dry-run-summary").innerText();
  const [, past, changed] = /Of (\d+) past payments, (\d+) would begin at another account/.exec(summary);
  assert.ok(Number(past) >= 2 && changed === past, summary);
  await sound(page, "Routing");

  // What was typed and not saved is not lost by a wrong click.
  const asked = [];
  page.on("dialog", async (dialog) => {
    asked.push(dialog.type());
    await (asked.length === 1 ? dialog.dismiss() : dialog.accept());
  });
  await page.locator("#rules").fill(rulesFor(second_account, "everything north"));
  await page.locator("#to-payments").click({ noWaitAfter: true });
  await eventually("the browser to ask", () => asked.length === 1);
  assert.deepEqual(asked, ["beforeunload"]);
  assert.equal(await page.locator("#rules").inputValue(), rulesFor(second_account, "everything north"));
  await page.locator("#save").click();
  await page.locator("#saved").waitFor();
  await sound(page, "Routing");
  const next = await buy(cards.mastercard);
  await page.goto(`${pay}/dashboard/payments/${merchant}/${next}`);
  assert.ok((await page.locator("#attempts").innerText()).includes(second_account), "the rules decide");
});

ruling("nobody_saves_rules_over_rules_that_they_have_not_seen", async (page) => {
  await logIn(page, desk.editor, `/dashboard/routing?merchant=${merchant}`);
  const context = await newContext();
  try {
    const other = await context.newPage();
    await logIn(other, desk.editor, `/dashboard/routing?merchant=${merchant}`);
    await page.locator("#rules").fill(rulesFor(second_account, "from the first window"));
    await page.locator("#save").click();
    await page.locator("#saved").waitFor();
    const theirs = rulesFor(second_account, "from the second window");
    await other.locator("#rules").fill(theirs);
    await other.locator("#save").click();
    await other.locator("#conflict").waitFor();
    assert.equal(await other.locator("#rules").inputValue(), theirs);
    assert.match(await other.locator("#stored").innerText(), /from the first window/);
    await sound(other, "Routing");
    await page.reload();
    assert.match(await page.locator("#rules").inputValue(), /from the first window/, "nothing was overwritten");
    // Now they have seen it.
    await other.locator("#save").click();
    await other.locator("#saved").waitFor();
    await page.reload();
    assert.match(await page.locator("#rules").inputValue(), /from the second window/);
  } finally {
    await context.close();
  }
});

visit("a_webhook_that_is_sent_again_reaches_its_receiver_again", async (page) => {
  const { paid } = await story();
  await logIn(page, desk.editor, `/dashboard/webhooks?merchant=${merchant}`);
  const line = page.locator("#deliveries tbody tr", { hasText: paid }).filter({ hasText: "payment succeeded" });
  await eventually("the merchant to be told", async () => {
    await page.reload();
    return (await line.allInnerTexts()).some((text) => text.includes("delivered"));
  });
  await sound(page, "Webhooks to the merchant");
  await line.getByRole("link").first().click();
  const event = await page.locator("#event").innerText();
  await sound(page, event);
  assert.match(await page.locator("pre").innerText(), new RegExp(paid));
  assert.doesNotMatch(await page.content(), /_secret_/, "the client secret is the receiver's alone");
  const before = await timesTaken(event);
  assert.ok(before > 0, "the receiver took it");
  await page.locator("#replay summary").click();
  await page.locator("#replay-confirm").click();
  await page.locator("#replayed").waitFor();
  await eventually("the receiver to get it again", async () => (await timesTaken(event)) > before);
  await isDelivered(page, event);
});

visit("a_viewer_looks_and_tries_and_changes_nothing", async (page) => {
  const { paid } = await story();
  await logIn(page, desk.viewer, `/dashboard/routing?merchant=${merchant}`);
  assert.match(await page.locator("#visitor").innerText(), /viewer/);
  assert.equal(await page.locator("#rules").getAttribute("readonly"), "");
  assert.equal(await page.locator("#save").count(), 0);
  await sound(page, "Routing");
  await page.locator("#dry-run-start").click();
  await page.locator("#dry-run-summary").waitFor();
  // Somebody who gives themselves the button.
  const saved = await answerTo(page, () => {
    const act = Object.assign(document.createElement("input"), { name: "act", value: "save", type: "hidden" });
    document.querySelector("#rules").value = '{"rules": [], "fallback": ["north two"]}';
    document.querySelector("#routing").append(act);
    document.querySelector("#routing").submit();
  });
  assert.equal(saved.status(), 403);
  await page.goto(`${pay}/dashboard/routing?merchant=${merchant}`);
  assert.equal(await page.locator("#rules").inputValue(), "");
  await page.goto(`${pay}/dashboard/webhooks?merchant=${merchant}&payment=${paid}`);
  await page.locator("#deliveries tbody th a").first().click();
  const event = await page.locator("#event").innerText();
  assert.equal(await page.locator("#replay").count(), 0);
  await isDelivered(page, event);
  await sound(page, event);
  const before = await timesTakenAtRest(event);
  const sent = await answerTo(page, () => {
    const form = Object.assign(document.createElement("form"), { method: "post", action: location.pathname });
    form.append(document.querySelector("input[name=form_token]").cloneNode());
    document.body.append(form);
    form.submit();
  });
  assert.equal(sent.status(), 403);
  await sound(page, "It did not work");
  // What is sent comes in its order: once a later event is there, this one would be, too.
  const later = await buy(cards.visa);
  await eventually("a later event", async () => {
    await page.goto(`${pay}/dashboard/webhooks?merchant=${merchant}&payment=${later}`);
    const lines = await page.locator("#deliveries tbody tr").allInnerTexts();
    return lines.some((line) => line.includes("payment succeeded") && line.includes("delivered"));
  });
  assert.equal(await timesTaken(event), before);
});

visit(
  "the_dashboard_is_sound_in_the_dark_on_a_narrow_screen",
  async (page) => {
    const { paid, declined } = await story();
    await page.goto(`${pay}/dashboard`);
    await enter(page, desk.viewer, "wrong");
    await page.locator("#login-refused").waitFor();
    await fits(page);
    await logIn(page, desk.editor, `/dashboard?merchant=${merchant}`);
    await fits(page);
    for (const path of ["payments", "connectors", "routing", "webhooks"]) {
      await page.goto(`${pay}/dashboard/${path}?merchant=${merchant}`);
      await fits(page);
    }
    for (const id of [paid, declined]) {
      await page.goto(`${pay}/dashboard/payments/${merchant}/${id}`);
      await fits(page);
    }
    await page.goto(`${pay}/dashboard/payments/${merchant}/pay_of_nobody`);
    await fits(page);
    await page.goto(`${pay}/dashboard/webhooks?merchant=${merchant}&payment=${paid}`);
    await page.locator("#deliveries tbody th a").first().click();
    await page.locator("#replay summary").click();
    await fits(page);
    await page.goto(`${pay}/dashboard/routing?merchant=${merchant}`);
    await page.locator("#rules").fill("{");
    await page.locator("#validate").click();
    await page.locator("#invalid").waitFor();
    await fits(page);
    await page.locator("#rules").fill(rulesFor(second_account));
    await page.locator("#dry-run-start").click();
    await page.locator("#dry-run-summary").waitFor();
    await fits(page);
  },
  { colorScheme: "dark", viewport: { width: 390, height: 800 } },
);

visit("who_has_a_keyboard_alone_logs_in_and_tries_rules", async (page) => {
  await story();
  await page.goto(`${pay}/dashboard`);
  await eventually("the caret to be in the name", () => isFocused(page, "name"));
  await page.keyboard.type(desk.editor);
  await page.keyboard.press("Tab");
  await page.keyboard.type(desk.password);
  await page.keyboard.press("Enter");
  await page.locator("#visitor").waitFor();
  // The first key leads past the navigation.
  await page.keyboard.press("Tab");
  await eventually("the link to the content", () => page.evaluate(() => document.activeElement?.className === "skip"));
  await page.keyboard.press("Enter");
  await page.waitForURL(/#main$/);
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.querySelector("#main").contains(document.activeElement)), "it leads to the content");
  await page.goto(`${pay}/dashboard?merchant=${merchant}`);
  await tabTo(page, "to-routing");
  await page.keyboard.press("Enter");
  await page.locator("#rules").waitFor();
  await tabTo(page, "rules");
  await page.keyboard.type(`{ "fallback": ["${second_account}"] }`);
  await tabTo(page, "dry-run-start");
  const outline = await page.locator("#dry-run-start").evaluate((button) => getComputedStyle(button).outlineStyle);
  assert.equal(outline, "solid", "people see where they are");
  await page.keyboard.press("Enter");
  await page.locator("#dry-run-summary").waitFor();
});

/** Fills the login and sends it. */
async function enter(page, name, password) {
  await page.locator("#name").fill(name);
  await page.locator("#password").fill(password);
  await page.locator("#log-in").click();
}

async function logIn(page, name, path) {
  await page.goto(`${pay}${path}`);
  await enter(page, name, desk.password);
  await page.locator("#visitor", { hasText: name }).waitFor();
}

/** The page with this heading has come, axe finds nothing on it, and no card is in it. */
async function sound(page, heading) {
  await page.getByRole("heading", { level: 1, name: heading }).waitFor();
  await axe(page.mainFrame());
  const html = await page.content();
  for (const card of Object.values(cards)) assert.ok(!holdsNumber(html, card), `${page.url()} holds the number of a card`);
}

/** Axe finds nothing, and nobody has to move the page sideways. */
async function fits(page) {
  await axe(page.mainFrame());
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(over <= 0, `${page.url()} is ${over} pixels too wide`);
}

/** What the server answers to the form that the act sends, and that it refuses. */
async function answerTo(page, act) {
  const answer = page.waitForResponse((one) => one.request().method() === "POST");
  await page.evaluate(act);
  const got = await answer;
  await page.locator("#trouble").waitFor();
  return got;
}

async function isFocused(page, id) {
  return page.evaluate((id) => document.activeElement?.id === id, id);
}

/** Presses Tab until an element has the focus. */
async function tabTo(page, id) {
  for (let press = 0; press < TABS_MAX; press += 1) {
    if (await isFocused(page, id)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(`no number of tabs leads to #${id}`);
}

/** A test that saves rules. However it ends, the tests after it begin without any: one fault is one failure. */
function ruling(name, act) {
  visit(name, async (page, context) => {
    try {
      await act(page, context);
    } catch (fault) {
      await clearRules().catch((more) => (fault.stack += `\n  and the rules were not taken away: ${more.message}`));
      throw fault;
    }
    await clearRules();
  });
}

/** Takes the merchant's rules away, as an operator does, in a window that knows nothing of the test. */
async function clearRules() {
  const context = await newContext();
  try {
    const page = await context.newPage();
    await logIn(page, desk.editor, `/dashboard/routing?merchant=${merchant}`);
    await page.locator("#rules").fill("");
    await page.locator("#save").click();
    await page.locator("#saved").waitFor();
    await page.locator("#log-out").click();
    await page.locator("#log-in").waitFor();
  } finally {
    await context.close();
  }
}

function rulesFor(account, name = "everything") {
  return JSON.stringify({ rules: [{ name, use: { order: [account] } }] });
}

async function statusWith(cookie, url) {
  const answer = await fetch(url, { headers: { cookie: `${cookie.name}=${cookie.value}` }, redirect: "manual" });
  return answer.status;
}

/** How often the merchant's receiver took an event. */
async function timesTaken(event) {
  const taken = await (await fetch(desk.taken)).json();
  return taken.filter((one) => one === event).length;
}

/** How often the receiver took an event that it has, once two readings say the same. */
async function timesTakenAtRest(event) {
  let last = 0;
  return eventually("the receiver to be at rest", async () => {
    const now = await timesTaken(event);
    const isSame = now === last;
    last = now;
    return isSame && now;
  });
}

/** The event's page says that its receiver took it. */
async function isDelivered(page, event) {
  await eventually("the page to say that it is delivered", async () => {
    await page.goto(`${pay}/dashboard/webhooks/${merchant}/${event}`);
    return (await page.locator(".head").innerText()).includes("delivered");
  });
}

let told;

/** What happened before operators look: one payment was made and one declined. */
function story() {
  told ??= (async () => ({ paid: await buy(cards.visa), declined: await buy(cards.declined) }))();
  return told;
}

/** A payment of the merchant without a page: its server begins, the vault gets the card, its server confirms. */
async function buy(card) {
  const { payment_id } = await ask("/payments", {
    amount: 4200,
    currency: "EUR",
    authentication_type: "no_three_ds",
    description: "3 × Harbour Smoke",
    return_url: `${shop}/thanks`,
  });
  const session = await ask(`/payments/${payment_id}/vault_session`, { allowed_origins: [shop] });
  const stored = await fetch(`${world.intake}/v1/payment_methods`, {
    method: "POST",
    headers: { origin: shop, authorization: `Bearer ${session.client_secret}`, "content-type": "application/json" },
    body: JSON.stringify({
      type: "card",
      storage: "short_term",
      card: { number: card.number, exp_month: 12, exp_year: 2034, cvc: card.cvc },
    }),
  });
  const { payment_method_id, cvc_token } = await stored.json();
  await ask(`/payments/${payment_id}/confirm`, {
    payment_method: "card",
    payment_method_id,
    payment_method_data: { card_token: { cvc_token } },
  });
  return payment_id;
}

async function ask(path, body) {
  const headers = { "api-key": desk.api_key, "content-type": "application/json" };
  const answer = await fetch(`${pay}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  assert.ok(answer.ok, `${path} answered ${answer.status}`);
  return answer.json();
}

/** More than a page has places to stop at. */
const TABS_MAX = 60;
