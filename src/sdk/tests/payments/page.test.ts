// @vitest-environment jsdom
// `payments.js` as the loader meets it: one confirmation at a time, and a payer who comes back.

import { beforeEach, describe, expect, it, vi } from "vitest";
import { PagePayments } from "../../client/index";
import { keep } from "../../client/keep";
import { StrongroomError } from "../../shared/failure";
import type { HostedElement, MakePayments, PaymentsSetup } from "../../shared/payments";
import { SECRET, answered } from "./world";

const STORED = { payment_method_id: `pm_${"a".repeat(32)}`, card: { brand: "visa", last4: "4242", exp_month: 12, exp_year: 2034 }, cvc_token: "cvc_1" };

function setup(clientSecret: string | undefined = SECRET): PaymentsSetup {
  const none = (): never => {
    throw new Error("nobody asked for fields");
  };
  return { key: "pk_1", clientSecret, api: "https://pay.test", elements: none, setSession: () => undefined };
}

function served(...answers: unknown[]): { readonly urls: string[]; readonly bodies: unknown[] } {
  const urls: string[] = [];
  const bodies: unknown[] = [];
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
    urls.push(url);
    bodies.push(typeof init.body === "string" ? JSON.parse(init.body) : undefined);
    return Promise.resolve(new Response(JSON.stringify(answers.shift()), { status: 200 }));
  });
  return { urls, bodies };
}

/** Fields that give their card once and are empty then, until somebody types. */
function card(): { readonly element: HostedElement; readonly asked: unknown[]; readonly type: () => void } {
  const asked: unknown[] = [];
  const listeners: ((change: { empty: boolean }) => void)[] = [];
  let empty = false;
  const tokenize = (request: unknown): Promise<typeof STORED> => {
    asked.push(request);
    if (empty) return Promise.reject(new StrongroomError({ code: "incomplete_number", message: "The number is missing" }));
    empty = true;
    for (const listener of listeners) listener({ empty });
    return Promise.resolve(STORED);
  };
  const on = (_: string, listener: (change: { empty: boolean }) => void): void => {
    listeners.push(listener);
  };
  const type = (): void => {
    empty = false;
    for (const listener of listeners) listener({ empty });
  };
  return { element: { tokenize, on } as unknown as HostedElement, asked, type };
}

beforeEach(() => {
  sessionStorage.clear();
  history.replaceState(null, "", "/");
  document.documentElement.lang = "en";
});

describe("confirmPayment", () => {
  it("stores the card for this payment alone, and two calls at once are one", async () => {
    const server = served(answered("succeeded"));
    const { element, asked } = card();
    const payments = new PagePayments(setup());
    const [first, second] = await Promise.all([payments.confirmPayment({ element }), payments.confirmPayment({ element })]);
    expect([first, first.payment?.status]).toEqual([second, "succeeded"]);
    expect(asked).toEqual([{ storage: "short_term" }]);
    expect(server.urls).toEqual(["https://pay.test/payments/pay_1/confirm"]);
    expect(server.bodies[0]).toMatchObject({ payment_method_id: STORED.payment_method_id, client_secret: SECRET });
  });

  it("goes on with the same confirmation after a lost one, although the fields are empty, and with another once somebody typed", async () => {
    const keys: (string | null)[] = [];
    let up = false;
    vi.stubGlobal("fetch", (url: string, init: RequestInit) => {
      if (!url.endsWith("/confirm")) return Promise.resolve(new Response(JSON.stringify(answered("requires_payment_method")), { status: 200 }));
      keys.push(new Headers(init.headers).get("idempotency-key"));
      return Promise.resolve(up ? new Response(JSON.stringify(answered("succeeded")), { status: 200 }) : new Response("{}", { status: 503 }));
    });
    const { element, asked, type } = card();
    const payments = new PagePayments(setup());
    expect((await payments.confirmPayment({ element })).error?.type).toBe("unavailable");
    up = true;
    expect((await payments.confirmPayment({ element })).payment?.status).toBe("succeeded");
    expect([asked.length, new Set(keys).size]).toEqual([1, 1]);

    up = false;
    type();
    await payments.confirmPayment({ element });
    type();
    await payments.confirmPayment({ element });
    expect([asked.length, new Set(keys).size]).toEqual([3, 3]);
  });

  it("is told what is wrong with a call before anything is sent", async () => {
    const server = served();
    const payments = new PagePayments(setup());
    for (const params of [{}, { element: card().element, paymentMethod: "pm_1" }, { paymentMethod: "pm_1", confirmParams: { return_url: "/done" } }]) {
      expect((await payments.confirmPayment(params)).error?.type).toBe("configuration");
    }
    expect(server.urls).toEqual([]);
  });
});

describe("handleReturn", () => {
  it("answers for the payment that this tab sent away, without a client secret of the shop, and asks the API", async () => {
    const server = served(answered("failed", { error_code: "card_declined" }));
    keep(SECRET);
    history.replaceState(null, "", "/done?payment_id=pay_1&status=succeeded");
    const result = await new PagePayments(setup("")).handleReturn();
    expect([result?.payment?.status, result?.error?.type]).toEqual(["failed", "declined"]);
    expect(server.urls).toEqual([`https://pay.test/payments/pay_1?client_secret=${SECRET}`]);
    expect(sessionStorage.length).toBe(0);
  });

  it("answers nothing where nobody came back, and believes no address about a payment that it does not know", async () => {
    served();
    const payments = new PagePayments(setup("pay_2_secret_fedcba9876543210"));
    expect(await payments.handleReturn()).toBeUndefined();
    history.replaceState(null, "", "/done?payment_id=pay_1&status=succeeded");
    expect((await payments.handleReturn())?.error).toMatchObject({ type: "configuration", code: "unknown_payment" });
  });
});

describe("the file", () => {
  it("leaves one thing on the page", () => {
    expect(typeof (globalThis as { StrongroomPayments?: MakePayments }).StrongroomPayments).toBe("function");
  });
});
