// The sheet on the page: built once, then told how things are. The vault's frames stand in it and are never moved, because
// a frame that is moved begins anew.

import type { Brand } from "../shared/brands";
import { directionOf, type Locale } from "../shared/locale";
import { formatAmount } from "../client/money";
import { element, say, drawing, LOCK } from "./dom";
import { endOf } from "./ending";
import { paint, dress, type Looks } from "./looks";
import { Row, button, cardName, type RowActs } from "./row";
import { isFree, mayPay, type State } from "./state";
import { WORDS, fill, type Words } from "./words";

/** What the payer asks for. */
export interface Acts extends RowActs {
  chooseNew(): void;
  save(save: boolean): void;
  manage(managing: boolean): void;
  pay(): void;
  /** The button of a last view. */
  next(): void;
}

/** What a view is made for. */
export interface ViewSettings {
  readonly locale: Locale;
  /** The language tag for amounts and dates, such as `de-AT`. */
  readonly tag: string;
  readonly looks: Looks;
  /** Whether a new card may be kept. */
  readonly offersSave: boolean;
  /** Whether there is somewhere to go on to. */
  readonly hasHome: boolean;
  /** Whether the shop can make another payment. */
  readonly canRenew: boolean;
}

/** The sheet's elements. */
export class View {
  readonly host = document.createElement("div");
  /** Where the new card's fields stand. */
  readonly fields = element("div", { class: "fields" });
  private readonly words: Words;
  private readonly rows = new Map<string, Row>();
  private readonly sheet: HTMLElement;
  private readonly loading: HTMLElement;
  private readonly form: HTMLElement;
  private readonly end = element("div", { class: "view end" });
  private readonly title = element("h2", { id: "sr-choose", tabindex: "-1" });
  private readonly manage: HTMLButtonElement;
  private readonly options = element("div", { class: "options", role: "radiogroup", "aria-labelledby": "sr-choose" });
  private readonly fresh = element("div", { class: "option" });
  private readonly freshRow: HTMLElement;
  private readonly freshRadio = element("input", { type: "radio", name: "sr-choice" });
  private readonly freshInside: HTMLElement;
  private readonly saveBox: HTMLElement;
  private readonly saveInput = element("input", { type: "checkbox" });
  private readonly willSave: HTMLElement;
  private readonly offline = element("p", { class: "offline", role: "status" });
  private readonly notice = element("p", { class: "notice", role: "alert", tabindex: "-1" });
  private readonly payButton: HTMLButtonElement;
  private readonly payText = element("span");
  private readonly spin = element("span", { class: "spin", "aria-hidden": "true" });
  private readonly said = element("p", { class: "unseen", role: "status" });
  private shown: State | undefined;

  constructor(
    private readonly settings: ViewSettings,
    private readonly acts: Acts,
  ) {
    const { locale } = settings;
    this.words = WORDS[locale];
    const { words } = this;
    const root = this.host.attachShadow({ mode: "open" });
    dress(root, this.host, settings.looks);
    this.manage = button("quiet", words.manage, () => acts.manage(this.shown?.managing !== true));
    this.freshRadio.addEventListener("change", () => acts.chooseNew());
    this.freshRow = element("label", { class: "row" }, this.freshRadio, newMark(), element("span", { class: "text name" }, words.newCard));
    this.saveInput.addEventListener("change", () => acts.save(this.saveInput.checked));
    this.saveBox = element("label", { class: "save" }, this.saveInput, element("span", {}, words.save));
    this.willSave = element("p", { class: "note" }, words.willSave);
    this.freshInside = element("div", { class: "inside" }, this.fields, this.saveBox, this.willSave);
    this.fresh.append(this.freshRow, this.freshInside);
    this.options.append(this.fresh);
    this.payButton = button("pay", "", () => acts.pay());
    this.payButton.append(this.spin, this.payText);
    const secure = element("p", { class: "secure" }, drawing(LOCK), element("span", {}, words.secure));
    const head = element("div", { class: "head" }, this.title, this.manage);
    this.form = element("div", { class: "view" }, head, this.options, this.offline, this.notice, this.payButton, secure);
    const bones = element("div", { class: "bone", "aria-hidden": "true" });
    this.loading = element("div", { class: "view" }, element("p", { class: "unseen", role: "status" }, words.loading), bones, bones.cloneNode());
    this.sheet = element("section", { class: "sheet", lang: locale, dir: directionOf(locale), "aria-labelledby": "sr-choose" });
    this.sheet.append(this.loading, this.form, this.end, this.said);
    root.append(this.sheet);
  }

  /** Where the CVC of a saved card is typed. */
  cvcOf(id: string): HTMLElement | undefined {
    return this.rows.get(id)?.cvc;
  }

  /** Other colours and sizes. */
  paint(looks: Looks): void {
    paint(this.host, looks);
  }

  /** Shows how things are. */
  show(state: State): void {
    const before = this.shown;
    this.shown = state;
    const isForm = state.phase === "open" || state.phase === "paying" || state.phase === "verifying";
    this.loading.hidden = state.phase !== "loading";
    this.form.hidden = !isForm;
    this.end.hidden = isForm || state.phase === "loading";
    this.sheet.setAttribute("aria-busy", String(state.phase === "loading" || state.phase === "paying"));
    if (isForm) this.showForm(state);
    else if (state.phase !== "loading" && (before === undefined || before.phase !== state.phase || before.notice !== state.notice)) this.showEnd(state, before);
    const done = state.said;
    const what = done?.what === "removed" ? this.words.removed : this.words.nowDefault;
    say(this.said, done === undefined ? "" : fill(what, { card: cardName(done.card, this.words) }));
    if (before !== undefined && isForm && state.notice !== undefined && before.notice !== state.notice) this.notice.focus();
  }

  private showForm(state: State): void {
    const { words, settings } = this;
    const hasCards = state.cards.length > 0;
    say(this.title, hasCards ? words.choose : words.newCard);
    this.manage.hidden = !hasCards;
    say(this.manage, state.managing ? words.done : words.manage);
    this.manage.setAttribute("aria-pressed", String(state.managing));
    this.showRows(state);
    const isNew = state.choice.kind === "new";
    this.fresh.classList.toggle("only", !hasCards);
    this.fresh.classList.toggle("chosen", isNew && hasCards && !state.managing);
    this.fresh.hidden = state.managing;
    this.freshRow.hidden = !hasCards;
    this.freshRadio.checked = isNew;
    this.freshRadio.disabled = !isFree(state);
    this.freshInside.hidden = !isNew;
    const agreed = state.payment?.setup_future_usage !== undefined;
    const known = state.payment?.customer_id !== undefined;
    this.saveBox.hidden = agreed || !known || !settings.offersSave;
    this.saveInput.checked = state.save;
    this.saveInput.disabled = !isFree(state);
    this.willSave.hidden = !agreed || !known;
    say(this.offline, state.offline ? words.offline : "");
    say(this.notice, state.notice?.message ?? "");
    const works = state.phase !== "open";
    this.spin.hidden = !works;
    say(this.payText, works ? (state.phase === "verifying" ? words.verifying : words.paying) : this.payLabel(state));
    // Not `disabled`: the button keeps the focus, and says what it does.
    this.payButton.setAttribute("aria-disabled", String(!mayPay(state)));
    this.payButton.setAttribute("aria-busy", String(works));
  }

  private showRows(state: State): void {
    const { words, settings, acts } = this;
    for (const [id, row] of this.rows) {
      if (state.cards.some((card) => card.id === id)) continue;
      // The focus does not fall out of the list with the row.
      const held = row.box.contains((row.box.getRootNode() as ShadowRoot).activeElement);
      row.box.remove();
      this.rows.delete(id);
      if (held) this.title.focus();
    }
    for (const card of state.cards) {
      let row = this.rows.get(card.id);
      if (row === undefined) {
        row = new Row(card, words, settings.tag, acts);
        this.rows.set(card.id, row);
        this.options.insertBefore(row.box, this.fresh);
      }
      row.show(state, card);
    }
  }

  private showEnd(state: State, before: State | undefined): void {
    const { words, settings } = this;
    const amount = this.amountOf(state);
    const ending = endOf(state, words, amount, settings);
    const heading = element("h2", { id: "sr-end", tabindex: "-1" }, ending.title);
    const badge = element("div", { class: `badge ${ending.tone}`, "aria-hidden": "true" }, drawing(ending.drawing));
    const parts: Node[] = [badge, heading, element("p", {}, ending.text)];
    if (state.notice !== undefined && ending.text !== state.notice.message) parts.push(element("p", {}, state.notice.message));
    if (ending.next !== undefined) parts.push(button("pay", ending.next, () => this.acts.next()));
    this.end.replaceChildren(...parts);
    this.sheet.setAttribute("aria-labelledby", "sr-end");
    // Somebody who began here is told where they are now; a page that just opened keeps its own focus.
    if (before !== undefined && before.phase !== "loading") heading.focus();
  }

  private payLabel(state: State): string {
    if (state.payment?.amount === 0) return this.words.saveCard;
    return fill(this.words.pay, { amount: this.amountOf(state) });
  }

  private amountOf(state: State): string {
    const { payment } = state;
    return payment === undefined ? "" : formatAmount(payment.amount, payment.currency, this.settings.tag);
  }
}

function newMark(): SVGSVGElement {
  const mark = drawing("M3 6h18v12H3zM3 10h18M7 15h3");
  mark.setAttribute("class", "mark drawing");
  mark.style.cssText = "width:36px;height:24px";
  return mark;
}

/** The brand that a CVC field is told. */
export type { Brand };
