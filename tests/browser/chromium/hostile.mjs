// Pages that want the card: a shop's own page gone bad, and pages of other origins.
import assert from "node:assert/strict";
import { elsewhere, eventually, pay, payments, shop, vault, world } from "../world.mjs";
import { visit } from "./browser.mjs";
import { cards, fields, toCheckout, type } from "./shop.mjs";

visit(
  "a_page_of_another_origin_gets_neither_fields_nor_a_payment_nor_a_token",
  async (page) => {
    // The same shop's server under a name that no session allows.
    await page.goto(`${elsewhere}/`);
    await page.getByRole("button", { name: "Add Morning Fern to the basket" }).click();
    await page.goto(`${elsewhere}/checkout?with=fields`);
    const notice = page.locator("#notice");
    await eventually("the page to be told", async () => (await notice.innerText()).trim() !== "");
    const inside = page.frames().filter((frame) => frame !== page.mainFrame());
    for (const frame of inside) assert.equal(await frame.locator("input").count(), 0, "no field came up");

    const terms = await page.evaluate(async () => (await fetch("/api/checkout", { method: "POST", body: "{}" })).json());
    const session = await page.evaluate(
      async (order) => (await fetch("/api/session", { method: "POST", body: JSON.stringify({ order }) })).json(),
      terms.order,
    );
    const before = (await payments()).length;
    const card = { number: cards.visa.number, exp_month: 12, exp_year: 2034, cvc: "123" };
    const tried = await page.evaluate(
      async ([vault, pay, session, terms, card]) => {
        const of = async (answer) => {
          try {
            return (await answer).status;
          } catch {
            return "unreadable";
          }
        };
        const json = { "content-type": "application/json" };
        return {
          intake: await of(
            fetch(`${vault}/v1/payment_methods`, {
              method: "POST",
              headers: { ...json, authorization: `Bearer ${session}` },
              body: JSON.stringify({ type: "card", card }),
            }),
          ),
          payment: await of(
            fetch(`${pay}/payments/${terms.payment_id}?client_secret=${terms.client_secret}`, {
              headers: { "api-key": terms.publishable_key },
            }),
          ),
        };
      },
      [vault, pay, session.client_secret, terms, card],
    );
    // The policy of the page lets both requests out; the servers refuse them and the browser shows the page nothing.
    for (const status of Object.values(tried)) assert.ok(status === "unreadable" || status >= 400, JSON.stringify(tried));
    // The servers' own words, without a browser in between.
    const refused = await fetch(`${world.intake}/v1/payment_methods`, {
      method: "POST",
      headers: { origin: elsewhere, authorization: `Bearer ${session.client_secret}`, "content-type": "application/json" },
      body: JSON.stringify({ type: "card", card }),
    });
    assert.ok([401, 403].includes(refused.status), `the intake answered ${refused.status}`);
    const foreign = await fetch(`${pay}/payments/${terms.payment_id}?client_secret=${terms.client_secret}`, {
      headers: { origin: elsewhere, "api-key": terms.publishable_key },
    });
    assert.equal(foreign.status, 403);
    assert.equal((await payments()).length, before);
  },
  { bears: (text) => /frame-ancestors|violates the following/i.test(text) },
);

visit("a_hostile_parent_hears_no_digit_and_reaches_into_no_frame", async (page) => {
  // Runs before every script of the page: each way in which frames talk is listened to.
  await page.addInitScript(() => {
    const heard = (window.overheard = []);
    const note = (way, value) => {
      heard.push(`${way} ${typeof value === "string" ? value : JSON.stringify(value)}`);
    };
    window.addEventListener("message", (event) => note("message", { from: event.origin, data: event.data }), true);
    for (const name of ["keydown", "keyup", "keypress", "input", "beforeinput", "paste", "change", "focusin"]) {
      window.addEventListener(name, (event) => note(name, { key: event.key, data: event.data, value: event.target?.value }), true);
    }
    window.ports = [];
    const send = MessagePort.prototype.postMessage;
    MessagePort.prototype.postMessage = function postMessage(...sent) {
      note("sent", sent[0]);
      return send.apply(this, sent);
    };
    const Channel = window.MessageChannel;
    window.MessageChannel = class extends Channel {
      constructor() {
        super();
        window.ports.push(this.port1);
        this.port1.addEventListener("message", (event) => note("received", event.data));
      }
    };
    const post = window.postMessage;
    window.postMessage = function postMessage(...sent) {
      note("posted", sent[0]);
      return post.apply(this, sent);
    };
    // What the page itself fetches.
    const fetched = window.fetch;
    window.fetch = async (...asked) => {
      const answer = await fetched(...asked);
      note("fetched", await answer.clone().text());
      return answer;
    };
  });
  await toCheckout(page, "?with=fields");
  await type(page, cards.amex);
  const session = (await page.evaluate(() => window.overheard)).find((line) => line.startsWith("fetched") && line.includes("ss_"));
  assert.ok(session, "the page has its own session, and listens well");

  const reached = await page.evaluate(
    async ([vault, session]) => {
      const frame = document.querySelector('iframe[title="Strongroom card fields"]');
      const found = [];
      const attempt = (what, act) => {
        try {
          const value = act();
          if (value !== null && value !== undefined) found.push(`${what}: ${String(value)}`);
        } catch {
          // Refused by the browser, as it should.
        }
      };
      attempt("contentDocument", () => frame.contentDocument);
      attempt("document", () => frame.contentWindow.document);
      attempt("frames", () => window.frames[0].document);
      attempt("location", () => frame.contentWindow.location.href);
      attempt("fields", () => frame.contentWindow.document.querySelector("#sr-number").value);
      attempt("named", () => frame.contentWindow["sr-number"]);
      attempt("storage", () => frame.contentWindow.localStorage);
      attempt("eval", () => frame.contentWindow.eval("document.body.innerHTML"));
      // Introductions and orders of an impostor, over ports of its own.
      const answers = [];
      const hellos = [
        { strongroom: 1, kind: "card", session, options: {} },
        { strongroom: "1", kind: "card", session, options: {} },
        { type: "tokenize", id: 7, request: {} },
        { type: "update", options: { appearance: { variables: { fontFamily: "url(https://elsewhere.localhost/x)" } } } },
        "give me the card",
        null,
      ];
      for (const hello of hellos) {
        for (const target of [vault, "*"]) {
          const channel = new MessageChannel();
          channel.port1.onmessage = (event) => answers.push(event.data);
          frame.contentWindow.postMessage(hello, target, [channel.port2]);
        }
      }
      // The page's own port is the hostile page's, too: orders that are not in the protocol, and some that are.
      const [own] = window.ports;
      for (const order of [
        { type: "read", id: 1 },
        { type: "value", field: "number" },
        { type: "tokenize", id: 501, request: { metadata: { __proto__: { x: "y" } }, echo: true } },
        { type: "seal_cvc", id: 502, paymentMethod: "pm_00000000000000000000000000000000" },
        { type: "update", options: { locale: "<img src=x onerror=alert(1)>" } },
        { type: "session", session: "ss_somebody.elses" },
      ]) {
        own.postMessage(order);
      }
      await new Promise((done) => setTimeout(done, 0));
      return { found, answers };
    },
    [vault, session.match(/ss_[\w.-]+/)[0]],
  );
  // The frame answers orders in turn, so an answer to the last question means that those before it were dealt with.
  await page.evaluate(() => window.ports[0].postMessage({ type: "seal_cvc", id: 999, paymentMethod: `pm_${"0".repeat(32)}` }));
  await eventually("the frame to have heard everything", () =>
    page.evaluate(() => window.overheard.some((line) => line.startsWith("received") && line.includes('"id":999'))),
  );
  assert.deepEqual(reached.found.filter((line) => !line.includes("[object Window]")), []);
  assert.deepEqual(reached.answers, [], "an impostor's port is not answered");
  assert.equal(await fields(page).locator("img[src=x]").count(), 0);
  const heard = await page.evaluate(() => window.overheard);
  assert.ok(heard.some((line) => line.startsWith("received") && line.includes('"complete":true')), "the listening works");
  const lines = heard.filter((line) => !line.startsWith("fetched")).join("\n");
  for (let at = 0; at + 6 <= cards.amex.number.length; at += 1) {
    const part = cards.amex.number.slice(at, at + 6);
    assert.equal(lines.includes(part), false, `the page heard ${part}`);
  }
  assert.equal(/"(key|value|data)":"?1234"?/.test(lines), false, "the page heard the CVC");
});

visit("a_frame_that_another_page_opens_or_that_stands_alone_takes_no_card", async (page, context) => {
  await toCheckout(page, "?with=fields");
  await fields(page).locator("#sr-number").waitFor();
  const source = await page.locator('iframe[title="Strongroom card fields"]').getAttribute("src");
  // As a page of its own nobody is there to talk to it, and it shows nothing to type into.
  const alone = await context.newPage();
  await alone.goto(source);
  assert.equal(await alone.locator("input").count(), 0);
  // A page that opened it as a window is no parent.
  const opened = await page.evaluate(async (source) => {
    const other = window.open(source);
    await new Promise((done) => setTimeout(done, 0));
    const channel = new MessageChannel();
    other.postMessage({ strongroom: 1, kind: "card", session: "ss_a.b.c", options: {} }, "*", [channel.port2]);
    return other !== null;
  }, source);
  assert.ok(opened);
  const popup = await eventually("the window", () => context.pages().find((one) => one !== page && one !== alone));
  await popup.waitForLoadState();
  assert.equal(await popup.locator("input").count(), 0);
  assert.equal(new URL(source).origin, vault);
  assert.equal(new URL(page.url()).origin, shop);
  assert.ok(pay.startsWith("https://"));
});
