// Requests to the payments API: repeated where that is safe, never otherwise, and patient with a network that is away.

import { describe, expect, it } from "vitest";
import { Api, ApiFault, idOf, isSecret } from "../../client/api";
import { FakeWorld, SECRET, answered, refused, type Turn } from "./world";

function api(...turns: Turn[]): { readonly world: FakeWorld; readonly api: Api; readonly offline: boolean[] } {
  const world = new FakeWorld(turns);
  const offline: boolean[] = [];
  return { world, offline, api: new Api("https://pay.test", "pk_1", world, (away) => offline.push(away)) };
}

const CONFIRM = { body: JSON.stringify({ client_secret: SECRET }), key: "click" };

describe("a confirmation", () => {
  it("whose answer is lost is sent again under the same key with the same body", async () => {
    const { world, api: pay } = api("lost", "lost", [200, answered("succeeded")]);
    expect((await pay.confirm(SECRET, CONFIRM)).status).toBe("succeeded");
    expect(world.seen.map((one) => [one.path, one.key])).toEqual(Array(3).fill(["/payments/pay_1/confirm", "click"]));
    expect(new Set(world.seen.map((one) => JSON.stringify(one.body))).size).toBe(1);
    expect(world.pauses).toEqual([400, 1200]);
  });

  it("is sent again when the server is busy, as late as the server asks", async () => {
    const { world, api: pay } = api([503, refused("HE_00"), { "retry-after": "2" }], [409, refused("HE_00")], [200, answered("processing")]);
    expect((await pay.confirm(SECRET, CONFIRM)).status).toBe("processing");
    expect(world.pauses).toEqual([2000, 1200]);
  });

  it("that is refused is not sent again", async () => {
    const { world, api: pay } = api([400, refused("IR_16", "it is succeeded")]);
    await expect(pay.confirm(SECRET, CONFIRM)).rejects.toMatchObject({ code: "IR_16", status: 400, lost: false });
    expect(world.seen).toHaveLength(1);
  });

  it("is given up after four tries, and says that nothing is known", async () => {
    const { world, api: pay } = api("lost", "lost", "lost", "lost");
    await expect(pay.confirm(SECRET, CONFIRM)).rejects.toMatchObject({ code: "network", lost: true });
    expect(world.seen).toHaveLength(4);
  });

  it("waits for the network and goes on by itself", async () => {
    const { world, api: pay, offline } = api("lost", "lost", "lost", "lost", "lost", [200, answered("succeeded")]);
    world.online = false;
    const fetch = world.fetch;
    let away = 3;
    (world as { fetch: typeof fetch }).fetch = (input, init) => {
      if (away > 0) world.online = false;
      away -= 1;
      return fetch(input, init);
    };
    expect((await pay.confirm(SECRET, CONFIRM)).status).toBe("succeeded");
    expect(offline).toEqual([true, false, true, false, true, false]);
    expect(new Set(world.seen.map((one) => one.key))).toEqual(new Set(["click"]));
  });
});

describe("answers", () => {
  it("that are no payment, session or list are refused", async () => {
    for (const body of [null, [], {}, { payment_id: 1 }, answered("surprised"), { ...answered("succeeded"), amount: "1000" }]) {
      await expect(api([200, body]).api.payment(SECRET)).rejects.toBeInstanceOf(ApiFault);
    }
    await expect(api([200, { client_secret: 1 }]).api.vaultSession(SECRET)).rejects.toBeInstanceOf(ApiFault);
    await expect(api([200, { customer_payment_methods: {} }]).api.savedCards(SECRET)).rejects.toBeInstanceOf(ApiFault);
  });

  it("show of a saved card what is masked and in form, and leave out what is not", async () => {
    const good = {
      payment_method_id: "pm_1",
      payment_token: "token_1",
      requires_cvv: false,
      default_payment_method_set: true,
      card: { card_network: "AmericanExpress", last4_digits: "0005", expiry_month: "03", expiry_year: "2034" },
    };
    const odd = { ...good, card: { ...good.card, last4_digits: "378282246310005" } };
    const { api: pay } = api([200, { customer_payment_methods: [good, odd, null], is_guest_customer: false }]);
    const { cards } = await pay.savedCards(SECRET);
    expect(cards).toEqual([
      { id: "pm_1", token: "token_1", brand: "amex", last4: "0005", month: 3, year: 2034, isDefault: true, asksCvc: false },
    ]);
  });

  it("ask for a CVC unless they say that none is needed", async () => {
    const card = { card_network: "Visa", last4_digits: "4242", expiry_month: "12", expiry_year: "2034" };
    const list = { customer_payment_methods: [{ payment_method_id: "pm_1", payment_token: "t", card }] };
    expect((await api([200, list]).api.savedCards(SECRET)).cards[0]?.asksCvc).toBe(true);
  });
});

describe("housekeeping", () => {
  it("names the payer's card and the payment's secret, and nobody's server key", async () => {
    const { world, api: pay } = api([200, { deleted: true }], [200, {}], [200, { client_secret: "ss_1" }]);
    await pay.removeCard(SECRET, "pm_1");
    await pay.makeDefault(SECRET, "pm_1");
    expect(await pay.vaultSession(SECRET)).toBe("ss_1");
    expect(world.seen.map((one) => [one.method, one.path, one.apiKey])).toEqual([
      ["DELETE", `/customers/payment_methods/pm_1?client_secret=${SECRET}`, "pk_1"],
      ["POST", "/customers/payment_methods/pm_1/default", "pk_1"],
      ["POST", "/payments/pay_1/vault_session", "pk_1"],
    ]);
    expect(world.seen[2]?.body).toEqual({ client_secret: SECRET });
    expect(world.seen[2]?.key).toBeUndefined();
  });

  it("takes a card that is gone already for removed", async () => {
    await expect(api([404, refused("HE_02")]).api.removeCard(SECRET, "pm_1")).resolves.toBeUndefined();
    await expect(api([400, refused("IR_25")]).api.removeCard(SECRET, "pm_1")).rejects.toMatchObject({ code: "IR_25" });
  });

  it("tells client secrets from other texts", () => {
    expect(idOf(SECRET)).toBe("pay_1");
    expect(isSecret(SECRET)).toBe(true);
    for (const other of ["", "pay_1", "sk_live_key", "pay_1_secret_", `../x_secret_${"a".repeat(20)}`, undefined, 1]) expect(isSecret(other)).toBe(false);
  });
});
