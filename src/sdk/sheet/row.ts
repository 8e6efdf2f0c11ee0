// One saved card in the list: what it is, the place for its CVC, and what can be done with it.

import { isExpired, type SavedCard } from "../client/read";
import { NAMES, brandMark } from "../fields/icons";
import { formatExpiry } from "../client/money";
import { element, say } from "./dom";
import { isFree, type State } from "./state";
import { fill, type Words } from "./words";

/** What a click in a row asks for. */
export interface RowActs {
  choose(id: string): void;
  makeDefault(id: string): void;
  askRemove(id: string | undefined): void;
  remove(id: string): void;
}

/** A card's name for people. */
export function cardName(card: Pick<SavedCard, "brand" | "last4">, words: Words): string {
  return fill(words.card, { brand: NAMES[card.brand] || "Card", last4: card.last4 });
}

/** A row that lives as long as its card is in the list. */
export class Row {
  readonly box: HTMLElement;
  /** Where the CVC field stands. */
  readonly cvc = element("div", { class: "cvc" });
  private readonly radio = element("input", { type: "radio", name: "sr-choice" });
  private readonly tag = element("span", { class: "tag" });
  private readonly acts = element("div", { class: "acts" });
  private readonly ask: HTMLElement;
  private readonly makeDefault: HTMLButtonElement;
  private readonly remove: HTMLButtonElement;
  private readonly inside: HTMLElement;
  private wasAsking = false;

  constructor(
    readonly card: SavedCard,
    private readonly words: Words,
    locale: string,
    acts: RowActs,
    private readonly expired: boolean = isExpired(card, Date.now()),
  ) {
    const { id } = card;
    const name = cardName(card, words);
    const meta = fill(words.expires, { date: formatExpiry(card.month, card.year, locale) });
    this.radio.addEventListener("change", () => acts.choose(id));
    this.radio.disabled = expired;
    // Short for those who see it, a sentence for those who hear it.
    const short = element("bdi", { class: "name", dir: "ltr", "aria-hidden": "true" }, `${NAMES[card.brand]} ${DOTS} ${card.last4}`.trim());
    const text = element("span", { class: "text" }, short, element("span", { class: "unseen" }, name), element("span", { class: "meta" }, meta));
    const row = element("label", { class: "row" }, this.radio, brandMark(card.brand), text, this.tag);
    this.makeDefault = button("small", words.makeDefault, () => acts.makeDefault(id));
    this.makeDefault.setAttribute("aria-label", `${words.makeDefault}: ${name}`);
    this.remove = button("small danger", words.remove, () => acts.askRemove(id));
    this.remove.setAttribute("aria-label", `${words.remove}: ${name}`);
    this.acts.append(this.makeDefault, this.remove);
    const question = element("p", {}, fill(words.removeAsk, { card: name }));
    const yes = button("small danger", words.remove, () => acts.remove(id));
    const no = button("small", words.keep, () => acts.askRemove(undefined));
    const answers = element("div", { class: "buttons" }, yes, no);
    this.ask = element("div", { class: "ask", role: "group", "aria-label": question.textContent ?? "" }, question, answers);
    this.inside = element("div", { class: "inside" }, this.cvc);
    this.box = element("div", { class: "option" }, row, this.inside, this.acts, this.ask);
    if (expired) this.box.classList.add("stale");
  }

  /** Shows how things are. `card` is the same card, perhaps with another standing. */
  show(state: State, card: SavedCard): void {
    const { choice } = state;
    const chosen = choice.kind === "saved" && choice.id === card.id;
    this.radio.checked = chosen;
    this.radio.disabled = this.expired || !isFree(state);
    this.box.classList.toggle("chosen", chosen && !state.managing);
    this.inside.hidden = !chosen || !card.asksCvc || state.managing;
    const [label, bad] = this.expired ? [this.words.isExpired, true] : card.isDefault ? [this.words.isDefault, false] : ["", false];
    say(this.tag, label);
    this.tag.hidden = label === "";
    this.tag.classList.toggle("bad", bad);
    const asking = state.asking === card.id;
    this.acts.hidden = !state.managing || asking;
    this.makeDefault.hidden = card.isDefault || this.expired;
    this.ask.hidden = !asking;
    this.box.setAttribute("aria-busy", String(state.working === card.id));
    // The question takes the focus, and the button that asked it gets it back.
    if (asking && !this.wasAsking) this.ask.querySelector<HTMLButtonElement>("button:last-of-type")?.focus();
    if (!asking && this.wasAsking && state.managing) this.remove.focus();
    this.wasAsking = asking;
  }
}

const DOTS = "••••";

/** A button that does something. */
export function button(kind: string, text: string, act: () => void): HTMLButtonElement {
  const made = element("button", { type: "button", class: kind }, text);
  made.addEventListener("click", act);
  return made;
}
