// The texts of the payment sheet. `{...}` marks what is put in.

/** One language's texts. */
export interface Words {
  readonly loading: string;
  readonly choose: string;
  readonly newCard: string;
  /** `{brand}`, `{last4}`. */
  readonly card: string;
  /** `{date}`. */
  readonly expires: string;
  readonly isExpired: string;
  readonly isDefault: string;
  readonly manage: string;
  readonly done: string;
  readonly makeDefault: string;
  readonly remove: string;
  /** `{card}`. */
  readonly removeAsk: string;
  readonly keep: string;
  /** `{card}`. */
  readonly removed: string;
  /** `{card}`. */
  readonly nowDefault: string;
  readonly defaultStays: string;
  readonly save: string;
  readonly willSave: string;
  /** `{amount}`. */
  readonly pay: string;
  readonly saveCard: string;
  readonly paying: string;
  readonly verifying: string;
  readonly paidTitle: string;
  /** `{amount}`. */
  readonly paidText: string;
  readonly savedTitle: string;
  readonly savedText: string;
  readonly failedTitle: string;
  readonly failedNext: string;
  readonly tryAgain: string;
  readonly pendingTitle: string;
  readonly pendingText: string;
  readonly verifyTitle: string;
  readonly verifyText: string;
  readonly verifyGo: string;
  readonly startOver: string;
  readonly expiredTitle: string;
  readonly expiredText: string;
  readonly brokenTitle: string;
  readonly offline: string;
  readonly goOn: string;
  readonly secure: string;
  readonly dialogTitle: string;
  readonly dialogCancel: string;
  readonly dialogWhole: string;
  readonly network: string;
  readonly unavailable: string;
  readonly generic: string;
  readonly declined: string;
  readonly noFunds: string;
  readonly cardExpired: string;
  readonly cvcWrong: string;
  readonly cvcAgain: string;
  readonly otherCard: string;
  readonly cardGone: string;
  readonly notVerified: string;
  readonly cancelled: string;
}
