// @vitest-environment jsdom
// `payments.js` as the loader meets it: one confirmation at a time, and a payer who comes back.

import { beforeEach, describe, expect, it, vi } from "vitest";
import { PagePayments } from "../../client/index";
import { keep } from "../../client/keep";
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

function card(): { readonly element: HostedElement; readonly asked: unknown[] } {
  const asked: unknown[] = [];
  const tokenize = (request: unknown): Promise<typeof STORED> => {
    asked.push(request);
    return Promise.resolve(STORED);
  };
  return { element: { tokenize } as unknown as HostedElement, asked };
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
