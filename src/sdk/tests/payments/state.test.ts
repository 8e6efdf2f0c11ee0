// The sheet's states: what a click, an answer and a fault lead to, and what they may not.

import { describe, expect, it } from "vitest";
import { isExpired, type SavedCard } from "../../client/read";
import type { PaymentError, PaymentStatus, PaymentView } from "../../shared/payments";
import { START, chosenCard, mayPay, reduce, type Action, type State } from "../../sheet/state";

const NOW = Date.UTC(2031, 5, 15);

function payment(status: PaymentStatus = "requires_payment_method"): PaymentView {
  return { payment_id: "pay_1", status, amount: 1000, currency: "EUR", customer_id: "cus_1" };
}

function card(id: string, more: Partial<SavedCard> = {}): SavedCard {
  return { id, token: `token_${id}`, brand: "visa", last4: "4242", month: 12, year: 2034, isDefault: false, asksCvc: true, ...more };
}

function loaded(cards: readonly SavedCard[], status?: PaymentStatus): State {
  return reduce(START, { type: "loaded", payment: payment(status), cards, nowMs: NOW, expired: isExpired });
}

function after(state: State, ...actions: readonly Action[]): State {
  return actions.reduce(reduce, state);
}

const DECLINED: PaymentError = { type: "declined", code: "card_declined", message: "no" };
const LOST: PaymentError = { type: "network", code: "network", message: "away" };

describe("a payment that was asked for", () => {
  it("begins with the default card, then with the one used last, then with a new one", () => {
    expect(chosenCard(loaded([card("a"), card("b", { isDefault: true })]))?.id).toBe("b");
    expect(chosenCard(loaded([card("a"), card("b")]))?.id).toBe("a");
    expect(loaded([]).choice).toEqual({ kind: "new" });
  });

  it("never begins with an expired card, not even the default", () => {
    const old = card("a", { isDefault: true, month: 4, year: 2031 });
    expect(chosenCard(loaded([old, card("b")]))?.id).toBe("b");
    expect(loaded([old]).choice).toEqual({ kind: "new" });
  });

  it("is shown as it stands when the page is opened again", () => {
    const phases = {
      requires_payment_method: "open",
      requires_confirmation: "open",
      processing: "pending",
      requires_customer_action: "unverified",
      requires_capture: "paid",
      succeeded: "paid",
      partially_captured: "paid",
      partially_captured_and_capturable: "paid",
      failed: "failed",
      cancelled: "failed",
      expired: "expired",
    } as const;
    for (const [status, phase] of Object.entries(phases)) expect(loaded([], status as PaymentStatus).phase).toBe(phase);
  });
});

describe("a click on the button", () => {
  it("pays once, however often it is clicked", () => {
    const once = reduce(loaded([card("a")]), { type: "pay" });
    expect(once.phase).toBe("paying");
    expect(reduce(once, { type: "pay" })).toBe(once);
    expect(mayPay(once)).toBe(false);
  });

  it("does nothing while cards are managed, removed, or the payment is over", () => {
    const managing = reduce(loaded([card("a")]), { type: "managing", managing: true });
    const working = reduce(loaded([card("a")]), { type: "working", id: "a" });
    for (const state of [managing, working, START, loaded([], "succeeded"), loaded([], "failed"), loaded([], "processing")]) {
      expect(reduce(state, { type: "pay" })).toBe(state);
    }
  });

  it("locks choice and cards until the answer is there", () => {
    const paying = reduce(loaded([card("a"), card("b")]), { type: "pay" });
    for (const action of [
      { type: "chosen", choice: { kind: "new" } },
      { type: "save", save: true },
      { type: "managing", managing: true },
      { type: "working", id: "a" },
    ] as const) {
      expect(reduce(paying, action)).toBe(paying);
    }
  });
});

describe("the end of a confirmation", () => {
  const paying = reduce(loaded([card("a")]), { type: "pay" });

  it("is a last view for what is paid, declined or still at the provider", () => {
    expect(reduce(paying, { type: "settled", result: { payment: payment("succeeded") } }).phase).toBe("paid");
    expect(reduce(paying, { type: "settled", result: { payment: payment("processing") } }).phase).toBe("pending");
    const declined = reduce(paying, { type: "settled", result: { error: DECLINED, payment: payment("failed") } });
    expect([declined.phase, declined.notice]).toEqual(["failed", DECLINED]);
  });

  it("leaves the payer where they were after a lost answer, with the choice that they made", () => {
    const back = reduce(paying, { type: "settled", result: { error: LOST } });
    expect([back.phase, back.notice, chosenCard(back)?.id]).toEqual(["open", LOST, "a"]);
    expect(mayPay(back)).toBe(true);
  });

  it("offers the bank again to whoever closed its page", () => {
    const closed = after(paying, { type: "verifying" }, {
      type: "settled",
      result: { error: { type: "authentication", code: "cancelled", message: "x" }, payment: payment("requires_customer_action") },
    });
    expect(closed.phase).toBe("unverified");
    expect(after(closed, { type: "verifying" }).phase).toBe("verifying");
  });

  it("says that the page is too old, but not of a payment that is paid", () => {
    const expired: PaymentError = { type: "expired", code: "IR_08", message: "old" };
    expect(reduce(paying, { type: "refused", error: expired }).phase).toBe("expired");
    expect(reduce(loaded([], "succeeded"), { type: "refused", error: expired }).phase).toBe("paid");
  });

  it("gives the fields back to a payer who mistyped, without another message", () => {
    const back = reduce(paying, { type: "mistyped" });
    expect([back.phase, back.notice]).toEqual(["open", undefined]);
  });
});

describe("saved cards", () => {
  const managing = after(loaded([card("a"), card("b", { isDefault: true })]), { type: "managing", managing: true });

  it("are removed only after a question, and the choice falls back to a new card", () => {
    expect(reduce(loaded([card("a")]), { type: "asking", id: "a" }).asking).toBeUndefined();
    const gone = after(managing, { type: "asking", id: "b" }, { type: "working", id: "b" }, { type: "removed", id: "b" });
    expect(gone.cards.map((one) => one.id)).toEqual(["a"]);
    expect([gone.choice, gone.asking, gone.working, gone.said?.what]).toEqual([{ kind: "new" }, undefined, undefined, "removed"]);
    const none = after(gone, { type: "working", id: "a" }, { type: "removed", id: "a" });
    expect(none.managing).toBe(false);
  });

  it("have one default", () => {
    const changed = after(managing, { type: "working", id: "a" }, { type: "defaulted", id: "a" });
    expect(changed.cards.map((one) => one.isDefault)).toEqual([true, false]);
  });

  it("stay as they are when the server refuses", () => {
    const refused = after(managing, { type: "working", id: "b" }, { type: "refused", error: { type: "state", code: "IR_25", message: "no" } });
    expect([refused.cards.length, refused.working, refused.phase]).toEqual([2, undefined, "open"]);
  });

  it("cannot be chosen when they are not there", () => {
    const state = loaded([card("a")]);
    expect(reduce(state, { type: "chosen", choice: { kind: "saved", id: "z" } })).toBe(state);
  });
});
