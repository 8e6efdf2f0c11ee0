// The form: which fields there are, what they show, and what the page is told about them.

import { schemeOf, type Brand } from "../shared/brands";
import { faultOf, isVariable, propertyOf, type Appearance } from "../shared/appearance";
import type { Field as FieldName, FailureCode } from "../shared/failure";
import { directionOf, localeOf, type Locale } from "../shared/locale";
import type { Change, ElementKind, FrameOptions } from "../shared/protocol";
import { Field, type FieldPlan } from "./field";
import { NAMES, brandMark, cvcMark } from "./icons";
import {
  digitsOf,
  expiryOf,
  faultOfCvc,
  faultOfExpiry,
  faultOfName,
  faultOfNumber,
  isWhole,
  writtenCvc,
  writtenExpiry,
  writtenNumber,
} from "./judge";
import type { PlainCard } from "./seal";
import { WORDS } from "./words/index";

/** What the form tells the frame. */
export interface FormEvents {
  readonly changed: (change: Change) => void;
  readonly focused: (field: FieldName) => void;
  readonly blurred: (field: FieldName) => void;
  readonly submitted: () => void;
  /** Something was typed. */
  readonly typed: () => void;
}

/** The fields of one element. */
export class Form {
  readonly root = document.createElement("form");
  private readonly live = document.createElement("div");
  private readonly fields: readonly Field[];
  private options: FrameOptions = {};
  private locale: Locale = "en";
  private told = "";
  private marked = "";

  constructor(
    private readonly kind: ElementKind,
    private readonly events: FormEvents,
  ) {
    const on = {
      changed: (field: Field, typed: boolean) => this.changed(field, typed),
      focused: (field: Field) => this.events.focused(field.plan.name),
      blurred: (field: Field) => this.blurred(field),
      left: (field: Field) => this.leave(field),
    };
    this.fields = (kind === "card" ? this.cardPlans() : [this.cvcPlan()]).map((plan) => new Field(plan, on));
    this.root.noValidate = true;
    this.root.className = `form form-${kind}`;
    this.root.addEventListener("submit", (event) => {
      event.preventDefault();
      this.events.submitted();
    });
    this.live.className = "unseen";
    this.live.setAttribute("aria-live", "polite");
    // Enter submits a form of several inputs only if it has a button.
    const button = document.createElement("button");
    button.type = "submit";
    button.className = "unseen";
    button.tabIndex = -1;
    button.setAttribute("aria-hidden", "true");
    this.root.append(...this.fields.map((field) => field.root), button, this.live);
  }

  /** Takes options; what is not valid in them is left as it was. */
  take(options: FrameOptions): void {
    this.options = options;
    this.locale = localeOf(typeof options.locale === "string" ? options.locale : "auto", navigator.languages);
    const page = document.documentElement;
    page.lang = this.locale;
    page.dir = directionOf(this.locale);
    const appearance = options.appearance ?? {};
    if (faultOf(appearance) === undefined) dress(page, appearance);
    for (const field of this.fields) {
      field.input.disabled = options.disabled === true;
      field.root.hidden = field.plan.name === "name" && !this.asksName;
    }
    this.speak();
    this.mark();
    for (const field of this.fields) if (field.shownFault !== undefined) this.show(field, field.shownFault);
    this.tell();
  }

  /** The card that is typed; call it when `complete` was said. */
  card(): PlainCard {
    const expiry = expiryOf(this.text("expiry")) ?? { month: 0, year: 0 };
    const name = this.asksName ? this.text("name").trim() : "";
    const card = { number: digitsOf(this.text("number")), exp_month: expiry.month, exp_year: expiry.year, cvc: this.text("cvc") };
    return name === "" ? card : { ...card, holder_name: name };
  }

  /** The CVC that is typed. */
  cvc(): string {
    return this.text("cvc");
  }

  /** Shows every fault, puts the caret into the first field that has one, and says which that is. */
  reject(): { readonly field: FieldName; readonly code: FailureCode } | undefined {
    let first: { readonly field: FieldName; readonly code: FailureCode } | undefined;
    for (const field of this.asked) {
      const code = field.fault;
      this.show(field, code);
      if (code === undefined || first !== undefined) continue;
      first = { field: field.plan.name, code };
      field.focus();
    }
    this.tell();
    return first;
  }

  /** Shows what the vault said about a field. */
  refuse(name: FieldName, code: FailureCode): void {
    const field = this.find(name);
    if (field === undefined) return;
    this.show(field, code);
    field.focus();
    this.tell();
  }

  /** Nothing can be typed while a request runs. */
  hold(busy: boolean): void {
    for (const field of this.fields) field.input.readOnly = busy;
    this.root.classList.toggle("busy", busy);
    this.root.setAttribute("aria-busy", String(busy));
  }

  clear(): void {
    for (const field of this.fields) field.clear();
    this.mark();
    this.tell();
  }

  focus(): void {
    (this.asked.find((field) => field.fault !== undefined) ?? this.asked[0])?.focus();
  }

  blur(): void {
    for (const field of this.fields) field.input.blur();
  }

  /** Words for a code, in the language of the fields. */
  words(code: FailureCode): string {
    const words: Readonly<Record<string, string>> = { ...WORDS[this.locale] };
    return words[code] ?? WORDS[this.locale].unavailable;
  }

  private get asksName(): boolean {
    return this.options.holderName === "optional" || this.options.holderName === "required";
  }

  private get asked(): readonly Field[] {
    return this.fields.filter((field) => !field.root.hidden);
  }

  private get brand(): Brand {
    if (this.kind === "cvc") return this.options.brand ?? "unknown";
    return schemeOf(digitsOf(this.text("number"))).brand;
  }

  private text(name: FieldName): string {
    return this.find(name)?.input.value ?? "";
  }

  private find(name: FieldName): Field | undefined {
    return this.fields.find((field) => field.plan.name === name);
  }

  private cardPlans(): readonly FieldPlan[] {
    return [
      {
        name: "number",
        autofill: "cc-number",
        inputMode: "numeric",
        write: writtenNumber,
        digits: digitsOf,
        fault: (text) => faultOfNumber(digitsOf(text), this.options.brands),
        whole: (text) => isWhole(digitsOf(text)),
      },
      {
        name: "expiry",
        autofill: "cc-exp",
        inputMode: "numeric",
        write: writtenExpiry,
        digits: digitsOf,
        fault: (text) => faultOfExpiry(text, new Date()),
        whole: (text) => faultOfExpiry(text, new Date()) === undefined,
      },
      this.cvcPlan(),
      {
        name: "name",
        autofill: "cc-name",
        inputMode: "text",
        write: (text) => text,
        fault: (text) => faultOfName(text, this.options.holderName === "required"),
      },
    ];
  }

  private cvcPlan(): FieldPlan {
    return {
      name: "cvc",
      autofill: "cc-csc",
      inputMode: "numeric",
      write: (text) => writtenCvc(text, this.brand),
      digits: digitsOf,
      fault: (text) => faultOfCvc(text, this.brand),
    };
  }

  private changed(field: Field, typed: boolean): void {
    this.events.typed();
    if (field.plan.name === "number") {
      // Another brand may have a shorter CVC.
      this.find("cvc")?.rewrite();
      this.mark();
    }
    const code = field.fault;
    // While somebody types a field is not blamed for what is still missing.
    this.show(field, code?.startsWith("incomplete") === true ? undefined : code);
    this.tell();
    if (typed && field.isAtEnd && document.activeElement === field.input && field.plan.whole?.(field.input.value) === true) {
      const next = this.asked[this.asked.indexOf(field) + 1];
      if (next?.isEmpty === true) next.focus();
    }
  }

  private blurred(field: Field): void {
    if (!field.isEmpty) this.show(field, field.fault);
    this.tell();
    this.events.blurred(field.plan.name);
  }

  private leave(field: Field): void {
    this.asked[this.asked.indexOf(field) - 1]?.focus();
  }

  private show(field: Field, code: FailureCode | undefined): void {
    const before = field.shownFault;
    const words = code === undefined ? "" : this.words(code);
    field.show(code, words);
    if (code !== before) this.live.textContent = words;
  }

  private speak(): void {
    const words = WORDS[this.locale];
    const front = this.brand === "amex";
    const name = NAMES[this.brand];
    for (const field of this.fields) {
      switch (field.plan.name) {
        case "number":
          field.speak(words.number, NUMBER_HINT, name, true);
          break;
        case "expiry":
          field.speak(words.expiry, words.expiryHint, words.expiryHint, true);
          break;
        case "cvc":
          field.speak(words.cvc, front ? "1234" : "123", front ? words.cvcFront : words.cvcBack, true);
          break;
        case "name":
          field.speak(words.name, "", "", this.options.holderName === "required");
          break;
      }
    }
  }

  /** The brand's mark at the number; before one is known, those that the shop takes. */
  private mark(): void {
    const { brand } = this;
    const shown = `${brand} ${this.options.brands?.join() ?? ""} ${this.find("number")?.isEmpty === true}`;
    if (shown === this.marked) return;
    this.marked = shown;
    this.find("cvc")?.side.replaceChildren(cvcMark(brand === "amex"));
    const number = this.find("number");
    const empty = number?.isEmpty === true;
    const marks = brand === "unknown" && empty ? (this.options.brands ?? FAMILIAR).slice(0, MARKS_MAX) : [brand];
    number?.side.replaceChildren(...marks.map(brandMark));
    this.speak();
  }

  private tell(): void {
    const errors: Partial<Record<FieldName, FailureCode>> = {};
    for (const field of this.asked) {
      if (field.shownFault !== undefined) errors[field.plan.name] = field.shownFault;
    }
    const change: Change = {
      kind: this.kind,
      brand: this.brand,
      complete: this.asked.every((field) => field.fault === undefined),
      empty: this.asked.every((field) => field.isEmpty),
      errors,
    };
    const told = JSON.stringify(change);
    if (told === this.told) return;
    this.told = told;
    this.events.changed(change);
  }
}

/** Sets what an appearance says, and takes back what an earlier one said. */
function dress(page: HTMLElement, appearance: Appearance): void {
  page.removeAttribute("style");
  page.dataset["theme"] = appearance.theme ?? "light";
  page.dataset["labels"] = appearance.labels ?? "above";
  page.dataset["layout"] = appearance.layout ?? "stacked";
  for (const [name, value] of Object.entries(appearance.variables ?? {})) {
    if (isVariable(name)) page.style.setProperty(propertyOf(name), value);
  }
}

/** The shape of a number, not one. */
const NUMBER_HINT = "1234 1234 1234 1234";
const FAMILIAR: readonly Brand[] = ["visa", "mastercard", "amex", "discover"];
const MARKS_MAX = 4;
