// A confirmation from the click to the end: what is sent, what is followed, and that nothing is paid twice or believed lost.

import { describe, expect, it } from "vitest";
import { Api } from "../../client/api";
import { confirmAndFollow, confirmation, isWeb, type Ended, type Means, type Parts } from "../../client/confirm";
import { WORDS } from "../../sheet/words";
import { FakeWorld, SECRET, answered, refused, type Turn } from "./world";

const BROWSER = {
  user_agent: "a browser",
  language: "en",
  color_depth: 24,
  screen_height: 800,
  screen_width: 600,
  time_zone: -120,
  java_enabled: false,
  java_script_enabled: true,
};
const AWAY = answered("requires_customer_action", { next_action: { type: "redirect_to_url", redirect_to_url: "https://bank.test/ask" } });

function setUp(turns: Turn[], ends: Ended[] = []): { readonly world: FakeWorld; readonly parts: Parts; readonly sent: string[] } {
  const world = new FakeWorld(turns);
  const sent: string[] = [];
  const parts: Parts = {
    api: new Api("https://pay.test", "pk_1", world),
    world,
    words: WORDS.en,
    authenticate: (url) => {
      sent.push(url);
      return Promise.resolve(ends.shift() ?? "cancelled");
    },
  };
  return { world, parts, sent };
}

function sent(means: Partial<Means>): Record<string, unknown> {
  const world = new FakeWorld([]);
  const whole: Means = { card: { id: "pm_1" }, inFrame: true, ...means };
  return JSON.parse(confirmation(SECRET, whole, world, BROWSER).body) as Record<string, unknown>;
}

const CONFIRM = { body: JSON.stringify({ client_secret: SECRET }), key: "click" };

describe("what is sent", () => {
  it("names a new card by its token and its sealed CVC, and no digit of it", () => {
    expect(sent({ cvcToken: "cvc_1" })).toEqual({
      client_secret: SECRET,
      payment_method: "card",
      payment_method_id: "pm_1",
      payment_method_data: { card_token: { cvc_token: "cvc_1" } },
      is_iframe_redirection_enabled: true,
      browser_info: BROWSER,
    });
  });

  it("names a saved card by its short-lived name", () => {
    const body = sent({ card: { token: "token_1" } });
    expect([body["payment_token"], body["payment_method_id"]]).toEqual(["token_1", undefined]);
  });

  it("keeps a card only where the payer said so, with the time when they did", () => {
    expect(sent({ save: false })["setup_future_usage"]).toBeUndefined();
    const body = sent({ save: true });
    expect(body["setup_future_usage"]).toBe("on_session");
    expect(body["customer_acceptance"]).toEqual({
      acceptance_type: "online",
      accepted_at: "2031-06-15T00:00:00.000Z",
      online: { user_agent: "a browser" },
    });
    const agreed = sent({ agrees: true });
    expect([agreed["setup_future_usage"], agreed["customer_acceptance"] !== undefined]).toEqual([undefined, true]);
  });

  it("has a key of its own for each new attempt", () => {
    const world = new FakeWorld([]);
    const means: Means = { card: { id: "pm_1" }, inFrame: false };
    expect(confirmation(SECRET, means, world, BROWSER).key).not.toBe(confirmation(SECRET, means, world, BROWSER).key);
  });
});

describe("a payment", () => {
  it("that is paid at once, or reserved, is done", async () => {
    for (const status of ["succeeded", "requires_capture"]) {
      const { world, parts } = setUp([[200, answered(status)]]);
      expect((await confirmAndFollow(SECRET, CONFIRM, parts)).payment?.status).toBe(status);
      expect(world.left).toBe(0);
    }
  });

  it("that is declined says why as far as it helps the payer", async () => {
    for (const [code, message, says] of [
      ["card_declined", "generic_decline", WORDS.en.declined],
      ["card_declined", "insufficient_funds", WORDS.en.noFunds],
      ["expired_card", "", WORDS.en.cardExpired],
      ["incorrect_cvc", "", WORDS.en.cvcWrong],
      ["stolen_card", "stolen_card", WORDS.en.declined],
    ]) {
      const { parts } = setUp([[200, answered("failed", { error_code: code, error_message: message })]]);
      const result = await confirmAndFollow(SECRET, CONFIRM, parts);
      expect(result.error).toEqual({ type: "declined", code, message: says });
      expect(result.payment?.status).toBe("failed");
    }
  });

  it("that a provider works on is asked about with growing pauses, for about a minute", async () => {
    const { world, parts } = setUp([[200, answered("processing")], [200, answered("processing")], [200, answered("processing")], [200, answered("succeeded")]]);
    expect((await confirmAndFollow(SECRET, CONFIRM, parts)).payment?.status).toBe("succeeded");
    expect(world.pauses).toEqual([700, 1050, 1575]);
    const slow = setUp(Array<Turn>(16).fill([200, answered("processing")]));
    const result = await confirmAndFollow(SECRET, CONFIRM, slow.parts);
    expect([result.error, result.payment?.status]).toEqual([undefined, "processing"]);
    const waited = slow.world.pauses.reduce((sum, ms) => sum + ms, 0);
    expect(waited).toBeGreaterThan(45_000);
    expect(waited).toBeLessThan(90_000);
  });
});

describe("a lost or refused confirmation", () => {
  it("that arrived all the same is found paid", async () => {
    const { world, parts } = setUp(["lost", "lost", "lost", "lost", [200, answered("succeeded")]]);
    expect((await confirmAndFollow(SECRET, CONFIRM, parts)).payment?.status).toBe("succeeded");
    expect(world.seen.filter((one) => one.method === "POST").every((one) => one.key === "click")).toBe(true);
  });

  it("that came to nothing is an error that says it is safe to try again", async () => {
    const { parts } = setUp(["lost", "lost", "lost", "lost", [200, answered("requires_payment_method")]]);
    expect((await confirmAndFollow(SECRET, CONFIRM, parts)).error).toMatchObject({ type: "network", message: WORDS.en.network });
    const nothing = setUp(Array<Turn>(8).fill("lost"));
    expect((await confirmAndFollow(SECRET, CONFIRM, nothing.parts)).error?.type).toBe("network");
  });

  it("because another window paid is no error", async () => {
    const { parts } = setUp([[400, refused("IR_16", "it is succeeded")], [200, answered("succeeded")]]);
    expect((await confirmAndFollow(SECRET, CONFIRM, parts)).payment?.status).toBe("succeeded");
  });

  it("because the CVC is gone asks for it again", async () => {
    const gone = refused("IR_16", "The CVC is no longer available: ask the payer for the card again");
    const { parts } = setUp([[400, gone], [200, answered("requires_payment_method")]]);
    expect((await confirmAndFollow(SECRET, CONFIRM, parts)).error).toMatchObject({ type: "card", code: "cvc_needed", field: "cvc" });
    const missing = refused("IR_04", "Missing required param: payment_method_data.card_token.card_cvc");
    expect((await confirmAndFollow(SECRET, CONFIRM, setUp([[400, missing]]).parts)).error).toMatchObject({ code: "cvc_needed" });
  });

  it("because the secret ended says that the page is too old", async () => {
    const { parts } = setUp([[400, refused("IR_08", "expired")]]);
    expect((await confirmAndFollow(SECRET, CONFIRM, parts)).error).toMatchObject({ type: "expired", code: "IR_08" });
  });

  it("because the page is wrong tells its developer what the API said", async () => {
    const { parts } = setUp([[403, refused("IR_22", "Pages of this origin may not act")]]);
    expect((await confirmAndFollow(SECRET, CONFIRM, parts)).error).toEqual({
      type: "configuration",
      code: "IR_22",
      message: "Pages of this origin may not act",
    });
  });
});

describe("authentication", () => {
  it("is followed to its end, and only the API says what the end is", async () => {
    const { parts, sent: urls } = setUp([[200, AWAY], [200, answered("succeeded")]], ["returned"]);
    expect((await confirmAndFollow(SECRET, CONFIRM, parts)).payment?.status).toBe("succeeded");
    expect(urls).toEqual(["https://bank.test/ask"]);
    const lies = setUp([[200, AWAY], ...Array<Turn>(6).fill([200, AWAY])], ["returned"]);
    expect((await confirmAndFollow(SECRET, CONFIRM, lies.parts)).error).toMatchObject({ type: "authentication", code: "not_authenticated" });
  });

  it("that is closed leaves the payment where it was", async () => {
    const { world, parts } = setUp([[200, AWAY], [200, AWAY]], ["cancelled"]);
    const result = await confirmAndFollow(SECRET, CONFIRM, parts);
    expect(result.error).toMatchObject({ type: "authentication", code: "cancelled" });
    expect([result.payment?.status, world.left]).toEqual(["requires_customer_action", 0]);
  });

  it("that the bank wants twice is done twice, and no payer goes in circles", async () => {
    const twice = setUp([[200, AWAY], [200, answered("processing")], [200, AWAY], [200, answered("failed")]], ["returned", "returned"]);
    expect((await confirmAndFollow(SECRET, CONFIRM, twice.parts)).error?.type).toBe("declined");
    expect(twice.sent).toHaveLength(2);
  });

  it("at an address that is none of the web's is not followed", async () => {
    for (const url of ["javascript:alert(1)", "data:text/html,x", "http://bank.test", "//bank.test", ""]) {
      const away = answered("requires_customer_action", { next_action: { redirect_to_url: url } });
      const { parts, sent: urls } = setUp([[200, away], [200, away]], ["returned"]);
      expect((await confirmAndFollow(SECRET, CONFIRM, parts)).error?.type).toBe("authentication");
      expect(urls).toEqual([]);
      expect(isWeb(url)).toBe(false);
    }
    for (const url of ["https://bank.test/a?b=c", "http://localhost:8080/x", "http://127.0.0.1:1"]) expect(isWeb(url)).toBe(true);
  });
});
