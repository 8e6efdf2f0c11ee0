// The last views of a sheet: what happened, what it means, and the one next step.

import { CLOCK, CROSS, SHIELD, TICK } from "./dom";
import type { State } from "./state";
import { fill, type Words } from "./words";

/** A last view. */
export interface Ending {
  readonly tone: "good" | "bad" | "calm";
  readonly drawing: string;
  readonly title: string;
  readonly text: string;
  /** The button, where there is something to do here. */
  readonly next?: string;
}

/** What can be done on this page. */
export interface Ways {
  /** There is a page to go on to. */
  readonly hasHome: boolean;
  /** The shop can make another payment. */
  readonly canRenew: boolean;
}

/** The last view of a state that has one. */
export function endOf(state: State, words: Words, amount: string, ways: Ways): Ending {
  const home = ways.hasHome ? { next: words.goOn } : {};
  const again = ways.canRenew ? { next: words.startOver } : {};
  switch (state.phase) {
    case "paid": {
      const setUp = state.payment?.amount === 0;
      const [title, text] = setUp ? [words.savedTitle, words.savedText] : [words.paidTitle, fill(words.paidText, { amount })];
      return { tone: "good", drawing: TICK, title, text, ...home };
    }
    case "pending":
      return { tone: "calm", drawing: CLOCK, title: words.pendingTitle, text: words.pendingText, ...home };
    case "unverified":
      return { tone: "calm", drawing: SHIELD, title: words.verifyTitle, text: words.verifyText, next: words.verifyGo };
    case "expired":
      return { tone: "calm", drawing: CLOCK, title: words.expiredTitle, text: words.expiredText, ...again };
    case "failed": {
      const text = state.notice?.message ?? words.declined;
      if (ways.canRenew) return { tone: "bad", drawing: CROSS, title: words.failedTitle, text, next: words.tryAgain };
      return { tone: "bad", drawing: CROSS, title: words.failedTitle, text: words.failedNext };
    }
    default: {
      const safe = state.notice?.type === "network" || state.notice?.type === "unavailable";
      return { tone: "bad", drawing: CROSS, title: words.brokenTitle, text: state.notice?.message ?? words.generic, ...(safe ? { next: words.goOn } : {}) };
    }
  }
}
