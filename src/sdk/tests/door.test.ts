// @vitest-environment jsdom
// Both ends of the way between page and frame: who is heard, and to whom something is said.
import { afterEach, describe, expect, test, vi } from "vitest";
import { guestOf, isFor, originsOf } from "../fields/door";
import { FieldsElement } from "../loader/element";
import { Sessions, ticketOf } from "../loader/session";
import { StrongroomSdk } from "../loader/strongroom";
import { StrongroomError } from "../shared/failure";
import { PROTOCOL } from "../shared/protocol";

const SHOP = "https://shop.example";
const VAULT = "https://vault.example";
const CLAIMS = { id: "00000000-0000-4000-8000-000000000002", origins: [SHOP] };
const HEAD = Buffer.from(JSON.stringify(CLAIMS)).toString("base64url");
const SESSION = `ss_${HEAD}.frametag.e30.sessiontag`;

/** A machine may be slow; the conditions come at once. */
const SOON = { timeout: 30_000 };

afterEach(() => {
  document.body.replaceChildren();
  vi.restoreAllMocks();
});

describe("the frame's door", () => {
  const around = {};
  const port = new MessageChannel().port1;
  const hello = { strongroom: PROTOCOL, kind: "card", session: SESSION, options: {} };
  const event = (change: object): MessageEvent<unknown> =>
    ({ data: hello, origin: SHOP, source: around, ports: [port], ...change }) as unknown as MessageEvent<unknown>;

  test("opens for the page around it", () => {
    expect(guestOf(event({}), around, [SHOP])).toEqual({ hello, port, origin: SHOP });
  });

  test.each([
    ["of another origin", { origin: "https://evil.example" }],
    ["of an origin that begins alike", { origin: `${SHOP}.evil.example` }],
    ["of no origin", { origin: "null" }],
    ["of another window", { source: {} }],
    ["of no window", { source: null }],
    ["without a port", { ports: [] }],
    ["that is no first message", { data: { type: "tokenize" } }],
  ])("stays shut for a message %s", (_, change) => {
    expect(guestOf(event(change), around, [SHOP])).toBeUndefined();
  });

  test("stays shut where no page is around it, or none is named", () => {
    expect(guestOf(event({ source: undefined }), undefined, [SHOP])).toBeUndefined();
    expect(guestOf(event({}), around, [])).toBeUndefined();
  });

  test("takes a session of its own page alone", () => {
    expect(isFor(SESSION, SHOP)).toBe(true);
    expect(isFor(SESSION, "https://evil.example")).toBe(false);
    expect(isFor("ss_x", SHOP)).toBe(false);
  });

  test("reads the origins of the document", () => {
    document.documentElement.dataset["origins"] = `${SHOP} https://b.example`;
    expect(originsOf(document)).toEqual([SHOP, "https://b.example"]);
  });
});

describe("the loader", () => {
  test("no address holds more of a session than its ticket", async () => {
    document.body.innerHTML = '<div id="card"></div>';
    const element = new FieldsElement("card", { vault: VAULT, sessions: new Sessions(SESSION), mounted: new Set() }, {});
    element.mount("#card");
    await vi.waitFor(() => expect(document.querySelector("iframe")?.src).not.toBe(undefined), SOON);
    const frame = document.querySelector("iframe");
    expect(frame?.src).toBe(`${VAULT}/sdk/1.0.0/fields?ticket=${HEAD}.frametag`);
    expect(frame?.title).not.toBe("");
    element.unmount();
    expect(document.querySelector("iframe")).toBeNull();
  });

  test("speaks to the vault's origin alone", async () => {
    document.body.innerHTML = '<div id="card"></div>';
    new FieldsElement("card", { vault: VAULT, sessions: new Sessions(SESSION), mounted: new Set() }, {}).mount("#card");
    await vi.waitFor(() => expect(document.querySelector("iframe")).not.toBeNull(), SOON);
    const frame = document.querySelector("iframe");
    const post = vi.fn();
    Object.defineProperty(frame, "contentWindow", { value: { postMessage: post } });
    frame?.dispatchEvent(new Event("load"));
    await vi.waitFor(() => expect(post).toHaveBeenCalledTimes(1), SOON);
    expect(post.mock.calls[0]?.[1]).toBe(VAULT);
    expect(post.mock.calls[0]?.[0]).toMatchObject({ strongroom: PROTOCOL, kind: "card", session: SESSION });
  });

  test("a call whose frame loads anew ends, and the next one is asked of the new frame", async () => {
    document.body.innerHTML = '<div id="card"></div>';
    const element = new FieldsElement("card", { vault: VAULT, sessions: new Sessions(SESSION), mounted: new Set() }, {});
    element.mount("#card");
    await vi.waitFor(() => expect(document.querySelector("iframe")).not.toBeNull(), SOON);
    const frame = document.querySelector("iframe");
    const documents: { readonly port: MessagePort; readonly heard: Record<string, unknown>[] }[] = [];
    const postMessage = (_hello: unknown, _origin: string, [port]: [MessagePort]): void => {
      const heard: Record<string, unknown>[] = [];
      port.onmessage = (event: MessageEvent<Record<string, unknown>>) => heard.push(event.data);
      documents.push({ port, heard });
    };
    Object.defineProperty(frame, "contentWindow", { value: { postMessage } });
    const isReady = vi.fn();
    element.on("ready", isReady);
    const comesUp = async (nth: number): Promise<void> => {
      await vi.waitFor(() => expect(documents).toHaveLength(nth), SOON);
      documents.at(-1)?.port.postMessage({ type: "ready" });
      await vi.waitFor(() => expect(isReady).toHaveBeenCalledTimes(nth), SOON);
    };
    const asked = (nth: number): Promise<number> =>
      vi.waitFor(() => {
        const call = documents[nth]?.heard.find(({ type }) => type === "tokenize");
        if (call === undefined) throw new Error("nothing is asked");
        return call["id"] as number;
      }, SOON);

    frame?.dispatchEvent(new Event("load"));
    await comesUp(1);
    const first = element.tokenize();
    await asked(0);
    frame?.dispatchEvent(new Event("load"));
    // While the new document is not up, nothing is asked of the one that is gone.
    const between = element.tokenize();
    await expect(first).rejects.toMatchObject({ code: "network" });
    await expect(between).rejects.toBeInstanceOf(StrongroomError);
    await comesUp(2);
    const second = element.tokenize();
    const id = await asked(1);
    const card = { brand: "visa", last4: "4242", exp_month: 12, exp_year: 2034 };
    const result = { payment_method_id: `pm_${"a".repeat(32)}`, card, cvc_token: "cvc_1" };
    documents[1]?.port.postMessage({ type: "done", id, result });
    expect(await second).toEqual(result);
    element.destroy();
    for (const { port } of documents) port.close();
  });

  test.each(["destroy", "unmount"] as const)("an element is told of no session after %s, and again when it is mounted again", async (end) => {
    document.body.innerHTML = '<div id="card"></div>';
    const sdk = new StrongroomSdk(SESSION, { vault: VAULT }, undefined);
    const element = sdk.elements().create("card");
    const told = vi.spyOn(element, "takeSession");
    sdk.renew(SESSION);
    expect(told).not.toHaveBeenCalled();
    element.mount("#card");
    sdk.renew(SESSION);
    expect(told).toHaveBeenCalledTimes(1);
    element[end]();
    sdk.renew(SESSION);
    expect(told).toHaveBeenCalledTimes(1);
    element.mount("#card");
    sdk.renew(SESSION);
    expect(told).toHaveBeenCalledTimes(2);
    element[end]();
    await vi.waitFor(() => expect(document.querySelector("iframe")).toBeNull(), SOON);
  });

  test("an element that was destroyed is kept by nobody", () => {
    document.body.innerHTML = '<div id="card"></div>';
    const mounted = new Set<FieldsElement>();
    const element = new FieldsElement("card", { vault: VAULT, sessions: new Sessions(SESSION), mounted }, {});
    expect(mounted.size).toBe(0);
    element.mount("#card");
    expect([...mounted]).toEqual([element]);
    element.destroy();
    expect(mounted.size).toBe(0);
  });

  test("what is no session is refused before anything is sent", () => {
    for (const text of ["", "ss_", `ss_${HEAD}`, `ss_${HEAD}.a`, `ss_${HEAD}.a.e30`, `ss_${HEAD}.a.e30.b.c`, `ss_a/b.c.d.e`]) {
      expect(() => ticketOf(text), text).toThrow(/client session/);
    }
  });

  test("a session is brought once, and once more when it ended", async () => {
    const bring = vi.fn(() => Promise.resolve(`ss_${HEAD}.a.e30.${bring.mock.calls.length}`));
    const sessions = new Sessions(bring);
    const old = await sessions.current();
    expect(await sessions.current()).toBe(old);
    const [one, other] = await Promise.all([sessions.renewed(old), sessions.renewed(old)]);
    expect(one).toBe(other);
    expect(one).not.toBe(old);
    expect(bring).toHaveBeenCalledTimes(2);
    expect(await new Sessions(SESSION).renewed(SESSION)).toBeUndefined();
  });

  test.each([
    ["of Chromium's fetch", new TypeError("Failed to fetch"), "network"],
    ["of Firefox's fetch", new TypeError("NetworkError when attempting to fetch resource."), "network"],
    ["of Safari's fetch", new TypeError("Load failed"), "network"],
    ["of the payments file, which has a class of its own", Object.assign(new Error("away"), { code: "network" }), "network"],
    ["of its own kind", new StrongroomError({ code: "rate_limited", message: "later" }), "rate_limited"],
    ["of the page's server", new Error("401"), "session_expired"],
    ["of the payments API", Object.assign(new Error("too many"), { code: "IR_16" }), "session_expired"],
    ["of the page's own script", new TypeError("undefined is not a function"), "session_expired"],
    ["that is none", undefined, "session_expired"],
  ])("why no session came is said as it is: a fault %s", async (_, fault, code) => {
    const bring = vi.fn(() => Promise.reject(fault as Error));
    const sessions = new Sessions(bring);
    const failed = await sessions.current().catch((thrown: unknown) => thrown);
    expect(failed).toBeInstanceOf(StrongroomError);
    expect(failed).toMatchObject({ code });
    // What failed is not kept.
    await expect(sessions.current()).rejects.toMatchObject({ code });
    expect(bring).toHaveBeenCalledTimes(2);
  });

  test("without a network, whatever a source of sessions throws is the network's fault", async () => {
    vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);
    await expect(new Sessions(() => Promise.reject(new Error("no answer"))).current()).rejects.toMatchObject({ code: "network" });
    await expect(new Sessions(() => Promise.resolve("sk_1")).current()).rejects.toMatchObject({ code: "invalid_request" });
  });

  test.each([
    ["sk_live", {}],
    [SESSION, { vault: "http://vault.example" }],
    [SESSION, { vault: "vault.example" }],
    [SESSION, { vaul: VAULT }],
  ])("a wrong call says what is wrong", (key, options) => {
    expect(() => new StrongroomSdk(key, options as object, "vaul" in options ? VAULT : undefined)).toThrow();
  });

  test("a wrong element says what is wrong", () => {
    const sdk = new StrongroomSdk(SESSION, {}, `${VAULT}/sdk/v1/strongroom.js`);
    const elements = sdk.elements();
    expect(() => elements.create("card", { appearance: { variables: { colorText: "url(x)" } } })).toThrow(/colorText/);
    expect(() => elements.create("card").mount("#nowhere")).toThrow(/nowhere/);
    expect(() => elements.create("iban" as "card")).toThrow(/card, cvc and payment/);
  });

  test("a call before the fields are there is refused and retried by nobody", async () => {
    const sdk = new StrongroomSdk(SESSION, { vault: VAULT }, undefined);
    await expect(sdk.tokenize(sdk.elements().create("card"))).rejects.toMatchObject({ code: "not_mounted", retryable: false });
    await expect(sdk.confirmPayment({})).rejects.toMatchObject({ code: "invalid_request" });
  });
});
