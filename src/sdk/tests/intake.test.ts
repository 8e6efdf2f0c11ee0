// The way to the intake: lost answers, exchanged keys, sessions that end, and never a card in the clear.
import { describe, expect, test } from "vitest";
import { Intake, type World } from "../fields/intake";
import type { PlainCard } from "../fields/seal";

const CARD: PlainCard = { number: "4242424242424242", exp_month: 12, exp_year: 2031, cvc: "123" };
const CLAIMS = { id: "00000000-0000-4000-8000-000000000002", origins: ["https://shop.example"] };
const SESSION = `ss_${Buffer.from(JSON.stringify(CLAIMS)).toString("base64url")}.a.e30.b`;
const KEY = {
  vault_id: "00000000-0000-4000-8000-000000000001",
  key_id: "ik_1",
  // The public key of the private key whose bytes are all 1, times the base point: any point of the right form does.
  public_key: Buffer.from([9, ...new Array<number>(31).fill(0)]).toString("base64url"),
  kem_id: 32,
  kdf_id: 1,
  aead_id: 2,
};
const STORED = {
  payment_method_id: `pm_${"0".repeat(32)}`,
  type: "card",
  card: { brand: "visa", bin: "42424242", last4: "4242", exp_month: 12, exp_year: 2031, fingerprint: "x" },
  cvc_token: "cvc_sealed",
};

interface Seen {
  readonly path: string;
  readonly key: string | undefined;
  readonly body: string;
  readonly cache: string | undefined;
}

/** A vault that gives these answers to posts, one after the other; "lost" breaks off. */
function world(answers: readonly (readonly [number, unknown] | "lost")[]): { world: World; seen: Seen[]; pauses: number[] } {
  const seen: Seen[] = [];
  const pauses: number[] = [];
  let next = 0;
  let keys = 0;
  const answer = (status: number, body: unknown): Response =>
    new Response(JSON.stringify(body), { status, headers: { "x-request-id": "req_1" } });
  const fetched = (input: unknown, init?: RequestInit): Promise<Response> => {
    const path = String(input);
    const headers = new Headers(init?.headers);
    seen.push({ path, key: headers.get("idempotency-key") ?? undefined, body: String(init?.body ?? ""), cache: init?.cache });
    if (path === "/v1/intake-key") return Promise.resolve(answer(200, KEY));
    expect(headers.get("authorization")).toBe(`Bearer ${SESSION}`);
    const given = answers[next++] ?? "lost";
    return given === "lost" ? Promise.reject(new TypeError("network")) : Promise.resolve(answer(...given));
  };
  const made: World = {
    fetch: fetched,
    pause: (ms) => {
      pauses.push(ms);
      return Promise.resolve();
    },
    newKey: () => `key-${++keys}`,
  };
  return { world: made, seen, pauses };
}

const problem = (slug: string, more: object = {}): object => ({ type: `urn:strongroom:problem:${slug}`, ...more });
const posts = (seen: readonly Seen[]): readonly Seen[] => seen.filter((one) => one.path !== "/v1/intake-key");

describe("tokenize", () => {
  test("a card is stored, sealed, and the page sees what it may", async () => {
    const { world: vault, seen } = world([[201, STORED]]);
    const outcome = await new Intake(vault).tokenize(() => CARD, SESSION, { storage: "short_term", metadata: { order: "7" } });
    const { payment_method_id, cvc_token } = STORED;
    const card = { brand: "visa", last4: "4242", exp_month: 12, exp_year: 2031 };
    expect(outcome).toEqual({ result: { payment_method_id, card, cvc_token } });
    const body: unknown = JSON.parse(posts(seen)[0]?.body ?? "");
    expect(body).toMatchObject({ type: "card", storage: "short_term", metadata: { order: "7" }, encrypted_card: { key_id: "ik_1" } });
    expect(JSON.stringify(seen)).not.toContain(CARD.number);
  });

  test("a lost answer is asked for again with the same key and the same sealing", async () => {
    const { world: vault, seen, pauses } = world(["lost", [503, problem("unavailable")], [200, STORED]]);
    const outcome = await new Intake(vault).tokenize(() => CARD, SESSION, {});
    expect("result" in outcome).toBe(true);
    const sent = posts(seen);
    expect(sent.length).toBe(3);
    expect(new Set(sent.map((one) => one.key)).size).toBe(1);
    expect(new Set(sent.map((one) => one.body)).size).toBe(1);
    expect(pauses.length).toBe(2);
  });

  test("after no connection at all a later call asks for the same card's answer", async () => {
    const { world: vault, seen } = world(["lost", "lost", "lost", [200, STORED]]);
    const intake = new Intake(vault);
    expect(await intake.tokenize(() => CARD, SESSION, {})).toEqual({ fault: { code: "network" } });
    expect("result" in (await intake.tokenize(() => CARD, SESSION, {}))).toBe(true);
    expect(new Set(posts(seen).map((one) => one.key))).toEqual(new Set(["key-1"]));
  });

  test("another card, or another session, is another request", async () => {
    const { world: vault, seen } = world(["lost", "lost", "lost", [201, STORED]]);
    const intake = new Intake(vault);
    await intake.tokenize(() => CARD, SESSION, {});
    intake.forget();
    await intake.tokenize(() => CARD, SESSION, {});
    expect(new Set(posts(seen).map((one) => one.key))).toEqual(new Set(["key-1", "key-2"]));
  });

  test.each(["intake-key-gone", "sealed-card-used"])("after %s the card is sealed anew, once", async (slug) => {
    const { world: vault, seen } = world([[409, problem(slug)], [201, STORED]]);
    expect("result" in (await new Intake(vault).tokenize(() => CARD, SESSION, {}))).toBe(true);
    expect(posts(seen).map((one) => one.key)).toEqual(["key-1", "key-2"]);
    expect(seen.filter((one) => one.path === "/v1/intake-key").map((one) => one.cache)).toEqual(["default", "reload"]);
    const again = world([
      [409, problem(slug)],
      [409, problem(slug)],
      [201, STORED],
    ]);
    expect(await new Intake(again.world).tokenize(() => CARD, SESSION, {})).toEqual({ fault: { code: "unavailable" } });
    expect(posts(again.seen).length).toBe(2);
  });

  test.each([
    [401, problem("session-invalid"), { code: "session_expired", requestId: "req_1" }],
    [422, problem("invalid-card", { field: "card.number" }), { code: "card_refused", field: "number", requestId: "req_1" }],
    [429, problem("quota-exceeded"), { code: "session_used_up", requestId: "req_1" }],
    [500, problem("internal"), { code: "unavailable", requestId: "req_1" }],
    [422, problem("invalid-field"), { code: "invalid_request", requestId: "req_1" }],
  ])("%i is told as what it is", async (status, body, fault) => {
    const { world: vault } = world([
      [status, body],
      [status, body],
      [status, body],
    ]);
    expect(await new Intake(vault).tokenize(() => CARD, SESSION, {})).toEqual({ fault });
  });

  test("an answer that is no stored card is not passed on", async () => {
    const { world: vault } = world([[201, { payment_method_id: "pm_x", card: { last4: "4242424242424242" } }]]);
    expect(await new Intake(vault).tokenize(() => CARD, SESSION, {})).toEqual({ fault: { code: "unavailable" } });
  });

  test("a text that is no session sends nothing", async () => {
    const { world: vault, seen } = world([]);
    expect(await new Intake(vault).tokenize(() => CARD, "ss_x", {})).toEqual({ fault: { code: "session_expired" } });
    expect(seen).toEqual([]);
  });
});

describe("a CVC for a stored card", () => {
  const TOKEN = { cvc_token: "cvc_1", expires_at: "x" };
  const hand = (vault: World): ReturnType<Intake["sealCvc"]> => new Intake(vault).sealCvc(STORED.payment_method_id, () => "987", SESSION);

  test("leaves the frame sealed and alone", async () => {
    const { world: vault, seen } = world([[200, TOKEN]]);
    expect(await hand(vault)).toEqual({ result: { cvc_token: "cvc_1" } });
    const [sent] = posts(seen);
    expect(sent?.path).toBe(`/v1/payment_methods/${STORED.payment_method_id}/cvc`);
    expect(sent?.key).toBeUndefined();
    const body = JSON.parse(sent?.body ?? "") as { encrypted_cvc: Record<string, string> };
    expect(Object.keys(body)).toEqual(["encrypted_cvc"]);
    expect(Object.keys(body.encrypted_cvc)).toEqual(["key_id", "enc", "ciphertext"]);
    expect(Buffer.from(body.encrypted_cvc["ciphertext"] ?? "", "base64url").length).toBe(512 + 16);
    expect(sent?.body).not.toContain('"987"');
  });

  test.each(["intake-key-gone", "sealed-card-used"])("after %s it is sealed anew, once", async (slug) => {
    const { world: vault, seen } = world([[409, problem(slug)], [200, TOKEN]]);
    expect(await hand(vault)).toEqual({ result: { cvc_token: "cvc_1" } });
    expect(new Set(posts(seen).map((one) => one.body)).size).toBe(2);
    expect(seen.filter((one) => one.path === "/v1/intake-key").map((one) => one.cache)).toEqual(["default", "reload"]);
    const again = world([[409, problem(slug)], [409, problem(slug)], [200, TOKEN]]);
    expect(await hand(again.world)).toEqual({ fault: { code: "unavailable" } });
    expect(posts(again.seen).length).toBe(2);
  });

  test("what the vault refuses is told, and a text that is no session sends nothing", async () => {
    const refused = world([[422, problem("invalid-card", { field: "cvc" })]]);
    expect(await hand(refused.world)).toEqual({ fault: { code: "card_refused", field: "cvc", requestId: "req_1" } });
    const { world: vault, seen } = world([]);
    expect(await new Intake(vault).sealCvc(STORED.payment_method_id, () => "987", "ss_x")).toEqual({ fault: { code: "session_expired" } });
    expect(seen).toEqual([]);
  });
});
