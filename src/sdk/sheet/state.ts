// The payment sheet as a value: what it shows follows from this alone, and nothing changes it but `reduce`.

import type { SavedCard } from "../client/read";
import { standingOf } from "../client/outcome";
import type { ConfirmResult, PaymentError, PaymentView } from "../shared/payments";

/** Where the payer is. */
export type Phase =
  /** The payment is asked for. */
  | "loading"
  /** The payer chooses and types. */
  | "open"
  /** The card is stored and the payment confirmed. */
  | "paying"
  /** The bank's page is open. */
  | "verifying"
  /** The bank's page was closed before the bank was content. */
  | "unverified"
  | "paid"
  /** A provider takes its time. */
  | "pending"
  /** Declined; this payment is over. */
  | "failed"
  /** The client secret ended. */
  | "expired"
  /** Nothing can be shown; the notice says why. */
  | "broken";

/** A saved card, or the fields for a new one. */
export type Choice = { readonly kind: "saved"; readonly id: string } | { readonly kind: "new" };

/** Everything that a sheet shows. */
export interface State {
  readonly phase: Phase;
  readonly payment: PaymentView | undefined;
  readonly cards: readonly SavedCard[];
  readonly choice: Choice;
  /** Whether a new card is kept. */
  readonly save: boolean;
  /** Saved cards show what can be done with them. */
  readonly managing: boolean;
  /** The card that the payer is asked about before it is removed. */
  readonly asking: string | undefined;
  /** The card that is being removed or made the default. */
  readonly working: string | undefined;
  readonly offline: boolean;
  /** What the payer should read now. */
  readonly notice: PaymentError | undefined;
  /** What was done, for people who listen. */
  readonly said: Said | undefined;
}

/** Something that was done with a card. */
export interface Said {
  readonly what: "removed" | "default";
  readonly card: SavedCard;
}

/** What happens. */
export type Action =
  | { readonly type: "loaded"; readonly payment: PaymentView; readonly cards: readonly SavedCard[]; readonly nowMs: number; readonly expired: IsExpired }
  | { readonly type: "chosen"; readonly choice: Choice }
  | { readonly type: "save"; readonly save: boolean }
  | { readonly type: "managing"; readonly managing: boolean }
  | { readonly type: "asking"; readonly id: string | undefined }
  | { readonly type: "working"; readonly id: string }
  | { readonly type: "removed"; readonly id: string }
  | { readonly type: "defaulted"; readonly id: string }
  | { readonly type: "cards"; readonly cards: readonly SavedCard[] }
  | { readonly type: "pay" }
  | { readonly type: "verifying" }
  /** Something typed is wrong, and its field says so. */
  | { readonly type: "mistyped" }
  | { readonly type: "settled"; readonly result: ConfirmResult }
  | { readonly type: "refused"; readonly error: PaymentError }
  | { readonly type: "offline"; readonly offline: boolean }
  | { readonly type: "restart" };

type IsExpired = (card: SavedCard, nowMs: number) => boolean;

/** A sheet that has asked for its payment. */
export const START: State = {
  phase: "loading",
  payment: undefined,
  cards: [],
  choice: { kind: "new" },
  save: false,
  managing: false,
  asking: undefined,
  working: undefined,
  offline: false,
  notice: undefined,
  said: undefined,
};

/** The sheet after something happened. What may not happen now changes nothing. */
export function reduce(state: State, action: Action): State {
  switch (action.type) {
    case "loaded":
      return loaded(state, action.payment, action.cards, (card) => action.expired(card, action.nowMs));
    case "chosen":
      return isFree(state) && isThere(state, action.choice) ? { ...state, choice: action.choice, notice: undefined } : state;
    case "save":
      return isFree(state) ? { ...state, save: action.save } : state;
    case "managing":
      return isFree(state) ? { ...state, managing: action.managing, asking: undefined, notice: undefined } : state;
    case "asking":
      return isFree(state) && state.managing ? { ...state, asking: action.id, notice: undefined } : state;
    case "working":
      return isFree(state) ? { ...state, working: action.id, notice: undefined, said: undefined } : state;
    case "removed":
      return removed(state, action.id);
    case "defaulted":
      return defaulted(state, action.id);
    case "cards":
      return withCards(state, action.cards);
    case "pay":
      // The one place where a second click ends.
      return mayPay(state) ? { ...state, phase: "paying", managing: false, asking: undefined, notice: undefined, said: undefined } : state;
    case "verifying":
      return state.phase === "paying" || state.phase === "unverified" ? { ...state, phase: "verifying", notice: undefined } : state;
    case "mistyped":
      return state.phase === "paying" ? { ...state, phase: "open", notice: undefined } : state;
    case "settled":
      return settled(state, action.result);
    case "refused":
      return refused({ ...state, working: undefined, asking: undefined }, action.error);
    case "offline":
      return { ...state, offline: action.offline };
    case "restart":
      return { ...START, offline: state.offline };
  }
}

/** Whether the payer may choose, type and click. */
export function isFree(state: State): boolean {
  return state.phase === "open" && state.working === undefined;
}

/** Whether a click on the button begins something. */
export function mayPay(state: State): boolean {
  return (isFree(state) && !state.managing) || state.phase === "unverified";
}

/** The saved card that is chosen. */
export function chosenCard(state: State): SavedCard | undefined {
  const { choice } = state;
  return choice.kind === "saved" ? state.cards.find((card) => card.id === choice.id) : undefined;
}

function loaded(state: State, payment: PaymentView, cards: readonly SavedCard[], isExpired: (card: SavedCard) => boolean): State {
  const phase = phaseOf(payment);
  const good = cards.filter((card) => !isExpired(card));
  const first = good.find((card) => card.isDefault) ?? good[0];
  const choice: Choice = first === undefined ? { kind: "new" } : { kind: "saved", id: first.id };
  return { ...state, phase, payment, cards, choice, notice: undefined };
}

function phaseOf(payment: PaymentView): Phase {
  switch (standingOf(payment)) {
    case "open":
      return "open";
    case "away":
      return "unverified";
    case "working":
      return "pending";
    case "paid":
      return "paid";
    case "over":
      return payment.status === "expired" ? "expired" : "failed";
  }
}

function settled(state: State, result: ConfirmResult): State {
  if (result.error === undefined) {
    return { ...state, payment: result.payment, phase: phaseOf(result.payment), notice: undefined };
  }
  const payment = result.payment ?? state.payment;
  const phase = result.payment === undefined ? "open" : phaseOf(result.payment);
  // A CVC that is asked for again, a lost answer: the payer goes on where they were.
  return refused({ ...state, payment, phase }, result.error);
}

function refused(state: State, error: PaymentError): State {
  if (error.type === "expired" && state.phase !== "paid") return { ...state, phase: "expired", notice: error };
  switch (state.phase) {
    case "loading":
      return { ...state, phase: "broken", notice: error };
    case "paying":
    case "verifying":
      return { ...state, phase: "open", notice: error };
    default:
      return { ...state, notice: error };
  }
}

function removed(state: State, id: string): State {
  const card = state.cards.find((one) => one.id === id);
  const left = withCards({ ...state, working: undefined, asking: undefined }, state.cards.filter((one) => one.id !== id));
  const managing = left.managing && left.cards.length > 0;
  return { ...left, managing, said: card === undefined ? undefined : { what: "removed", card } };
}

function defaulted(state: State, id: string): State {
  const cards = state.cards.map((card) => ({ ...card, isDefault: card.id === id }));
  const card = cards.find((one) => one.id === id);
  return { ...state, cards, working: undefined, said: card === undefined ? undefined : { what: "default", card } };
}

function withCards(state: State, cards: readonly SavedCard[]): State {
  const next = { ...state, cards };
  if (isThere(next, state.choice)) return next;
  return { ...next, choice: { kind: "new" } };
}

function isThere(state: State, choice: Choice): boolean {
  return choice.kind === "new" || state.cards.some((card) => card.id === choice.id);
}
