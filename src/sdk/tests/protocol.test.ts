// Messages are read strictly: what does not belong is dropped, and nothing to the page has a place for a card number.
import { describe, expect, test } from "vitest";
import { HEIGHT_MAX, PROTOCOL, fromFrame, helloOf, toFrame } from "../shared/protocol";

const CHANGE = { kind: "card", brand: "visa", complete: false, empty: false, errors: { number: "invalid_number" } };
const RESULT = {
  payment_method_id: `pm_${"0".repeat(32)}`,
  card: { brand: "visa", last4: "4242", exp_month: 12, exp_year: 2031 },
};

describe("messages", () => {
  test("what the frame says is understood", () => {
    expect(fromFrame({ type: "ready" })).toEqual({ type: "ready" });
    expect(fromFrame({ type: "change", change: CHANGE })).toEqual({ type: "change", change: CHANGE });
    expect(fromFrame({ type: "size", height: 200 })).toEqual({ type: "size", height: 200 });
    expect(fromFrame({ type: "done", id: 1, result: RESULT })).toEqual({ type: "done", id: 1, result: RESULT });
    const failure = { code: "network", message: "x" };
    expect(fromFrame({ type: "failed", id: 1, failure })).toEqual({ type: "failed", id: 1, failure });
  });

  test.each([
    [undefined],
    ["ready"],
    [{ type: "eval" }],
    [{ type: "size", height: HEIGHT_MAX + 1 }],
    [{ type: "size", height: -1 }],
    [{ type: "size", height: "9px" }],
    [{ type: "change", change: { ...CHANGE, brand: "4242424242424242" } }],
    [{ type: "change", change: { ...CHANGE, errors: { number: "4242" } } }],
    [{ type: "done", id: "1", result: RESULT }],
    [{ type: "done", id: 1, result: { ...RESULT, card: { ...RESULT.card, last4: "4242424242424242" } } }],
    [{ type: "failed", id: 1, failure: { code: "made up", message: "x" } }],
  ])("%j of the frame is dropped", (message) => {
    expect(fromFrame(message)).toBeUndefined();
  });

  test("what the page says is understood", () => {
    expect(toFrame({ type: "tokenize", id: 1, request: { storage: "short_term" } })?.type).toBe("tokenize");
    expect(toFrame({ type: "seal_cvc", id: 1, paymentMethod: RESULT.payment_method_id })?.type).toBe("seal_cvc");
    expect(toFrame({ type: "update", options: {} })?.type).toBe("update");
    expect(helloOf({ strongroom: PROTOCOL, kind: "card", session: "ss_x", options: {} })?.kind).toBe("card");
  });

  test.each([
    [null],
    [{ type: "read" }],
    [{ type: "tokenize", id: 1, request: { url: "https://evil.example" } }],
    [{ type: "tokenize", id: 1, request: { metadata: { a: 1 } } }],
    [{ type: "seal_cvc", id: 1, paymentMethod: "../intake-key" }],
    [{ type: "session", session: 7 }],
    [{ type: "update", options: [] }],
  ])("%j of the page is dropped", (message) => {
    expect(toFrame(message)).toBeUndefined();
  });

  test("a first message of another version or kind is dropped", () => {
    expect(helloOf({ strongroom: 2, kind: "card", session: "ss_x", options: {} })).toBeUndefined();
    expect(helloOf({ strongroom: PROTOCOL, kind: "number", session: "ss_x", options: {} })).toBeUndefined();
    expect(helloOf({ strongroom: PROTOCOL, kind: "card", options: {} })).toBeUndefined();
  });
});
