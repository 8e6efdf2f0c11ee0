// @vitest-environment jsdom
// The sheet on a page, with stand-ins for the vault's fields and a server that counts: clicks, faults, and what is told.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Api } from "../../client/api";
import { VaultSessions } from "../../client/sessions";
import { StrongroomError } from "../../shared/failure";
import type { FrameOptions, TokenizeResult } from "../../shared/protocol";
import type { HostedElement, PaymentsSetup, SheetOptions } from "../../shared/payments";
import { Sheet } from "../../sheet/sheet";
import { WORDS } from "../../sheet/words";
import { FakeWorld, SECRET, answered, refused, type Turn } from "./world";

/** How quick a machine is decides no test. */
const until = (look: () => void): Promise<void> => vi.waitFor(look, { timeout: 100_000 });

const CARD = { card_network: "Visa", last4_digits: "4242", expiry_month: "12", expiry_year: "2034" };
const STORED: TokenizeResult = {
  payment_method_id: `pm_${"a".repeat(32)}`,
  card: { brand: "visa", last4: "4242", exp_month: 12, exp_year: 2034 },
  cvc_token: "cvc_1",
};

/** A failure as it comes out of the loader, which is another file with a class of its own. */
function ofLoader({ code, message, field }: StrongroomError): Error {
  return Object.assign(new Error(message), { code, ...(field === undefined ? {} : { field }) });
}

class Field implements HostedElement {
  mounted = false;
  focused = 0;
  cleared = 0;
  readonly sealed: string[] = [];
  tokenized = 0;
  readonly asked: unknown[] = [];
  fault: Error | undefined;
  private readonly heard = new Map<string, (event?: never) => void>();

  constructor(
    readonly kind: string,
    readonly options: FrameOptions,
  ) {}

  mount(): void {
    this.mounted = true;
  }
  unmount(): void {
    this.mounted = false;
  }
  destroy(): void {
    this.mounted = false;
  }
  update(): void {}
  focus(): void {
    this.focused += 1;
  }
  clear(): void {
    this.cleared += 1;
  }
  on(name: string, listener: (event: never) => void): void {
    this.heard.set(name, listener as (event?: never) => void);
  }
  emit(name: string): void {
    this.heard.get(name)?.();
  }
  tokenize(request: unknown): Promise<TokenizeResult> {
    this.tokenized += 1;
    this.asked.push(request);
    const { fault } = this;
    if (fault === undefined) return Promise.resolve(STORED);
    return Promise.reject(fault instanceof StrongroomError ? ofLoader(fault) : fault);
  }
  sealCvc(id: string): Promise<{ cvc_token: string }> {
    this.sealed.push(id);
    return Promise.resolve({ cvc_token: "cvc_2" });
  }
}

function open(turns: Turn[], options: SheetOptions = {}) {
  const world = new FakeWorld(turns);
  const fields: Field[] = [];
  const set: string[] = [];
  const setup: PaymentsSetup = {
    key: "pk_1",
    clientSecret: SECRET,
    api: "https://pay.test",
    elements: () => ({
      create: (kind, given = {}) => {
        const field = new Field(kind, given);
        fields.push(field);
        return field;
      },
    }),
    setSession: () => undefined,
  };
  const sessions = new VaultSessions(new Api("https://pay.test", "pk_1", world), world, (session) => set.push(session));
  const goesOn: string[] = [];
  const sheet = new Sheet(SECRET, options, { setup, world, sessions, goesOnWith: (secret) => goesOn.push(secret) });
  const told: [string, unknown][] = [];
  for (const name of ["ready", "paid", "failed"] as const) sheet.on(name, (event) => told.push([name, event]));
  sheet.mount("#pay");
  const root = (): ShadowRoot => {
    const shadow = document.querySelector("#pay > div")?.shadowRoot;
    if (shadow === null || shadow === undefined) throw new Error("the sheet is not there");
    return shadow;
  };
  const button = (text: string | RegExp): HTMLButtonElement => {
    const all = [...root().querySelectorAll("button")];
    const found = all.find((one) => one.closest("[hidden]") === null && new RegExp(text).test(one.textContent ?? ""));
    if (found === undefined) throw new Error(`no button ${String(text)}`);
    return found;
  };
  const confirms = (): unknown[] => world.seen.filter((one) => one.path.endsWith("/confirm")).map((one) => one.body);
  return { world, fields, sessions, set, goesOn, sheet, told, root, button, confirms };
}

function saved(id: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return { payment_method_id: id, payment_token: `token_${id}`, requires_cvv: true, card: CARD, ...more };
}

function list(...cards: unknown[]): Turn {
  return [200, { customer_payment_methods: cards, is_guest_customer: false }];
}

const WAITS: Turn = [200, answered("requires_payment_method")];
const PAID: Turn = [200, answered("succeeded")];

beforeEach(() => {
  document.body.innerHTML = '<div id="pay"></div>';
  document.documentElement.lang = "en";
});
afterEach(() => vi.restoreAllMocks());

describe("paying", () => {
  it("with a saved card sends its name and the CVC that was typed, once for many clicks", async () => {
    const page = open([WAITS, list(saved("pm_1")), PAID]);
    await until(() => expect(page.told).toHaveLength(1));
    expect(page.fields.map((field) => [field.kind, field.options.brand, field.mounted])).toEqual([["cvc", "visa", true]]);
    const pay = page.button("Pay €10.00");
    pay.click();
    pay.click();
    page.fields[0]?.emit("submit");
    await until(() => expect(page.told.at(-1)?.[0]).toBe("paid"));
    expect(page.confirms()).toHaveLength(1);
    expect(page.confirms()[0]).toMatchObject({ payment_token: "token_pm_1", payment_method_data: { card_token: { cvc_token: "cvc_2" } } });
    expect(page.fields[0]?.sealed).toEqual(["pm_1"]);
    expect(page.root().querySelector("h2#sr-end")?.textContent).toContain("paid");
    expect(page.root().activeElement?.id).toBe("sr-end");
  });

  it("with a new card keeps it only if the payer ticks the box", async () => {
    for (const ticks of [false, true]) {
      document.body.innerHTML = '<div id="pay"></div>';
      const page = open([WAITS, list(), PAID]);
      await until(() => expect(page.told).toHaveLength(1));
      if (ticks) page.root().querySelector<HTMLInputElement>("input[type=checkbox]")?.click();
      page.button("Pay").click();
      await until(() => expect(page.told.at(-1)?.[0]).toBe("paid"));
      expect((page.confirms()[0] as Record<string, unknown>)["setup_future_usage"]).toBe(ticks ? "on_session" : undefined);
      // The vault keeps it for this payment; only a payment that went through keeps it for longer.
      expect(page.fields[0]?.asked).toEqual([{ storage: "short_term" }]);
    }
  });

  it("by a guest offers to keep nothing", async () => {
    const page = open([[200, answered("requires_payment_method", { customer_id: null })]]);
    await until(() => expect(page.told).toHaveLength(1));
    expect(page.root().querySelector("input[type=checkbox]")?.closest("[hidden]")).not.toBeNull();
    expect(page.world.seen.map((one) => one.path)).toEqual([`/payments/pay_1?client_secret=${SECRET}`]);
  });

  it("with digits that are wrong stores and confirms nothing, and leads back to the field", async () => {
    const page = open([WAITS, list()]);
    await until(() => expect(page.told).toHaveLength(1));
    const [card] = page.fields;
    if (card === undefined) throw new Error("no card fields");
    card.fault = new StrongroomError({ code: "incomplete_number", message: "Your card number is incomplete.", field: "number" });
    page.button("Pay").click();
    await until(() => expect(card.focused).toBe(1));
    expect(page.confirms()).toEqual([]);
    expect(page.root().querySelector(".notice")?.textContent).toBe("");
    expect(page.button("Pay").getAttribute("aria-disabled")).toBe("false");
  });
});

describe("a lost answer", () => {
  it("is asked for again under the same key, without another card or CVC", async () => {
    const lost: Turn[] = ["lost", "lost", "lost", "lost"];
    const page = open([WAITS, list(saved("pm_1")), ...lost, WAITS, PAID]);
    await until(() => expect(page.told).toHaveLength(1));
    page.button("Pay").click();
    await until(() => expect(page.root().querySelector(".notice")?.textContent).toContain("will not pay twice"));
    page.button("Pay").click();
    await until(() => expect(page.told.at(-1)?.[0]).toBe("paid"));
    const sent = page.world.seen.filter((one) => one.path.endsWith("/confirm"));
    expect(new Set(sent.map((one) => `${one.key} ${JSON.stringify(one.body)}`)).size).toBe(1);
    expect(page.fields[0]?.sealed).toHaveLength(1);
  });

  it("about digits that were changed since is not sent again", async () => {
    const lost: Turn[] = ["lost", "lost", "lost", "lost"];
    const page = open([WAITS, list(), ...lost, WAITS, PAID]);
    await until(() => expect(page.told).toHaveLength(1));
    page.button("Pay").click();
    await until(() => expect(page.root().querySelector(".notice")?.textContent).not.toBe(""));
    page.fields[0]?.emit("change");
    page.button("Pay").click();
    await until(() => expect(page.told.at(-1)?.[0]).toBe("paid"));
    const keys = new Set(page.world.seen.filter((one) => one.path.endsWith("/confirm")).map((one) => one.key));
    expect([keys.size, page.fields[0]?.tokenized]).toEqual([2, 2]);
  });
});

describe("what nobody foresaw", () => {
  /** What is thrown where the page's monitors see it. */
  function monitored(): (() => void)[] {
    const thrown: (() => void)[] = [];
    const { setTimeout } = globalThis;
    vi.spyOn(globalThis, "setTimeout").mockImplementation(((act: () => void, ms?: number) => {
      if (ms !== undefined) return setTimeout(act, ms);
      thrown.push(act);
      return 0;
    }) as typeof setTimeout);
    return thrown;
  }

  it("in the fields leaves the sheet ready for the next click, and the page's monitors see it", async () => {
    const thrown = monitored();
    const page = open([WAITS, list(), PAID]);
    await until(() => expect(page.told).toHaveLength(1));
    const [card] = page.fields;
    if (card === undefined) throw new Error("no card fields");
    card.fault = new RangeError("a stack is full");
    page.button("Pay").click();
    await until(() => expect(page.root().querySelector(".notice")?.textContent).toContain(WORDS.en.unavailable));
    expect(thrown).toHaveLength(1);
    expect(thrown[0]).toThrow(card.fault);
    card.fault = undefined;
    page.button("Pay").click();
    await until(() => expect(page.told.at(-1)?.[0]).toBe("paid"));
    expect([page.confirms().length, thrown.length]).toEqual([1, 1]);
  });

  it("in a confirmation sends the same one again, without another card or CVC", async () => {
    const thrown = monitored();
    const confirm = vi.spyOn(Api.prototype, "confirm").mockRejectedValueOnce(new RangeError("a stack is full"));
    const page = open([WAITS, list(saved("pm_1")), PAID]);
    await until(() => expect(page.told).toHaveLength(1));
    page.button("Pay").click();
    await until(() => expect(page.root().querySelector(".notice")?.textContent).toContain(WORDS.en.unavailable));
    expect(thrown[0]).toThrow("a stack is full");
    page.button("Pay").click();
    await until(() => expect(page.told.at(-1)?.[0]).toBe("paid"));
    expect(confirm).toHaveBeenCalledTimes(2);
    expect(confirm.mock.calls[1]).toEqual(confirm.mock.calls[0]);
    expect(page.fields[0]?.sealed).toHaveLength(1);
  });

  it("while the payment is asked for does not leave the sheet loading", async () => {
    const thrown = monitored();
    vi.spyOn(Api.prototype, "payment").mockRejectedValueOnce(new RangeError("a stack is full"));
    const page = open([]);
    await until(() => expect(page.told).toMatchObject([["failed", { error: { type: "unavailable" } }]]));
    expect(thrown[0]).toThrow("a stack is full");
  });
});

describe("what ends", () => {
  it("the short-lived name of a saved card is renewed, with the CVC that was typed", async () => {
    const renewed = saved("pm_1", { payment_token: "token_new" });
    const page = open([WAITS, list(saved("pm_1")), [404, refused("HE_02")], list(renewed), PAID]);
    await until(() => expect(page.told).toHaveLength(1));
    page.button("Pay").click();
    await until(() => expect(page.told.at(-1)?.[0]).toBe("paid"));
    expect(page.confirms().map((body) => (body as Record<string, unknown>)["payment_token"])).toEqual(["token_pm_1", "token_new"]);
    expect(page.fields[0]?.sealed).toHaveLength(1);
  });

  it("a declined payment gives way to another one, if the shop makes one", async () => {
    const other = "pay_2_secret_fedcba9876543210";
    const declined: Turn = [200, answered("failed", { error_code: "card_declined" })];
    const page = open([WAITS, list(), declined, [200, { client_secret: "ss_new" }], WAITS, list()], {
      newPayment: () => Promise.resolve(other),
    });
    await until(() => expect(page.told).toHaveLength(1));
    page.button("Pay").click();
    await until(() => expect(page.told.at(-1)).toMatchObject(["failed", { error: { type: "declined" } }]));
    page.button("Try again").click();
    await until(() => expect(page.told.at(-1)?.[0]).toBe("ready"));
    expect([page.set, page.goesOn]).toEqual([["ss_new"], [other]]);
    expect(page.world.seen.at(-1)?.path).toBe(`/customers/payment_methods?client_secret=${other}`);
    expect(page.fields.map((field) => field.mounted)).toEqual([false, true]);
  });

  it("a client secret is told, and without the shop's help there is no button that does nothing", async () => {
    const page = open([[400, refused("IR_08", "expired")]]);
    await until(() => expect(page.told.at(-1)).toMatchObject(["failed", { error: { type: "expired" } }]));
    expect(page.root().querySelector(".end:not([hidden]) h2")?.textContent).toContain("too long");
    expect(page.root().querySelector(".end button")).toBeNull();
  });
});

describe("a sheet", () => {
  it("that was taken off the page before its answer came makes no fields", async () => {
    const page = open([WAITS, list()]);
    page.sheet.destroy();
    await until(() => expect(page.world.left).toBe(0));
    await Promise.resolve();
    expect([page.fields, page.told]).toEqual([[], []]);
  });

  it("begins new fields under another session where the one before is too old, and only there", async () => {
    const world = new FakeWorld([[200, { client_secret: "ss_1" }], [200, { client_secret: "ss_2" }]]);
    const set: string[] = [];
    const sessions = new VaultSessions(new Api("https://pay.test", "pk_1", world), world, (session) => set.push(session));
    await sessions.freshen(SECRET);
    expect(world.seen).toEqual([]);
    expect(await sessions.bring(SECRET)).toBe("ss_1");
    world.time += 11 * 60_000;
    await sessions.freshen(SECRET);
    expect(set).toEqual([]);
    world.time += 60_000;
    await sessions.freshen(SECRET);
    expect(set).toEqual(["ss_2"]);
  });

  it("shows without the list of saved cards, when that cannot be had, the fields for a new one", async () => {
    const down: Turn[] = Array<Turn>(4).fill([503, refused("HE_00")]);
    const page = open([WAITS, ...down]);
    await until(() => expect(page.told).toEqual([["ready", undefined]]));
    await until(() => expect(page.fields.map((field) => [field.kind, field.mounted])).toEqual([["card", true]]));
  });

  it("tells the payer nothing that only a developer can mend", async () => {
    const said = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const page = open([[403, refused("IR_22", "Pages of this origin may not act")]]);
    await until(() => expect(page.told.at(-1)).toMatchObject(["failed", { error: { type: "configuration" } }]));
    expect(page.root().textContent).not.toContain("origin");
    expect(said.mock.calls[0]?.[0]).toContain("Pages of this origin");
  });

  it("says when the network is away and when it is back", async () => {
    const page = open([WAITS, list()]);
    await until(() => expect(page.told).toHaveLength(1));
    dispatchEvent(new Event("offline"));
    expect(page.root().querySelector(".offline")?.textContent).toContain("offline");
    dispatchEvent(new Event("online"));
    expect(page.root().querySelector(".offline")?.textContent).toBe("");
  });
});

describe("saved cards", () => {
  it("are removed after a question", async () => {
    const page = open([WAITS, list(saved("pm_1"), saved("pm_2")), [200, { deleted: true }]]);
    await until(() => expect(page.told).toHaveLength(1));
    page.button("Manage cards").click();
    page.button("^Remove$").click();
    expect(page.world.seen.filter((one) => one.method === "DELETE")).toEqual([]);
    expect(page.root().querySelector(".ask:not([hidden]) p")?.textContent).toContain("4242");
    page.root().querySelector<HTMLButtonElement>(".ask:not([hidden]) .danger")?.click();
    await until(() => expect(page.root().querySelectorAll(".option").length).toBe(2));
    expect(page.world.seen.at(-1)?.path).toContain("/customers/payment_methods/pm_1?");
    expect(page.root().querySelector(".unseen[role=status]:last-child")?.textContent).toContain("was removed");
  });

  it("that expired cannot be chosen, and say so", async () => {
    const page = open([WAITS, list(saved("pm_1", { card: { ...CARD, expiry_year: "2020" } }))]);
    await until(() => expect(page.told).toHaveLength(1));
    expect(page.root().querySelector<HTMLInputElement>(".stale input")?.disabled).toBe(true);
    expect(page.root().querySelector(".stale .tag")?.textContent).toBe("Expired");
    expect(page.fields.map((field) => field.kind)).toEqual(["card"]);
  });
});

describe("options", () => {
  it("that are unknown or wrong are refused when the sheet is made", () => {
    for (const options of [{ surprise: 1 }, { returnUrl: "/done" }, { returnUrl: "javascript:1" }, { appearance: { variables: { colorText: "url(x)" } } }]) {
      expect(() => open([], options as SheetOptions)).toThrow();
    }
  });

  it("give the whole sheet the direction of its language", async () => {
    const page = open([WAITS, list()], { locale: "ar" });
    await until(() => expect(page.told).toHaveLength(1));
    const sheet = page.root().querySelector(".sheet");
    expect([sheet?.getAttribute("dir"), sheet?.getAttribute("lang")]).toEqual(["rtl", "ar"]);
  });
});
