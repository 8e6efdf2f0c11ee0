// One field: its label, its input, and its fault in words. What is typed stays in the input and nowhere else.

import type { Field as FieldName } from "../shared/failure";
import type { Fault } from "./judge";

/** How a field behaves. */
export interface FieldPlan {
  readonly name: FieldName;
  /** The token of the `autocomplete` attribute. */
  readonly autofill: string;
  readonly inputMode: "numeric" | "text";
  /** How what was typed is written; `deleting` while signs are being taken away. */
  readonly write: (text: string, deleting: boolean) => string;
  /** The digits of a text, to keep the caret at its digit; none for free text. */
  readonly digits?: (text: string) => string;
  readonly fault: (text: string) => Fault;
  /** Whether the person has most likely finished it. */
  readonly whole?: (text: string) => boolean;
}

/** What a field tells its form. */
export interface FieldEvents {
  readonly changed: (field: Field, typed: boolean) => void;
  readonly focused: (field: Field) => void;
  readonly blurred: (field: Field) => void;
  /** Backspace in an empty field. */
  readonly left: (field: Field) => void;
}

/** A field of the form. */
export class Field {
  readonly root = document.createElement("div");
  readonly input = document.createElement("input");
  readonly side = document.createElement("span");
  private readonly label = document.createElement("label");
  private readonly box = document.createElement("div");
  private readonly said = document.createElement("p");
  private readonly more = document.createElement("span");
  private shown: Fault;

  constructor(
    readonly plan: FieldPlan,
    private readonly events: FieldEvents,
  ) {
    const { name } = plan;
    this.root.className = `field field-${name}`;
    this.label.htmlFor = this.input.id = `sr-${name}`;
    this.said.id = `sr-${name}-fault`;
    this.more.id = `sr-${name}-more`;
    this.said.className = "fault";
    this.said.hidden = true;
    this.more.className = "unseen";
    this.box.className = "box";
    this.side.className = "side";
    const { input } = this;
    input.type = "text";
    input.name = name === "number" ? "cardnumber" : name === "expiry" ? "exp-date" : name === "cvc" ? "cvc" : "ccname";
    input.setAttribute("autocomplete", plan.autofill);
    input.inputMode = plan.inputMode;
    input.setAttribute("autocorrect", "off");
    input.autocapitalize = name === "name" ? "words" : "off";
    input.spellcheck = false;
    input.maxLength = TYPED_CHARS_MAX;
    input.setAttribute("aria-describedby", `${this.said.id} ${this.more.id}`);
    if (plan.digits !== undefined) input.dir = "ltr";
    // What an input method still composes is left alone until it is done.
    input.addEventListener("input", (event) => {
      if ((event as InputEvent).isComposing !== true) this.typed((event as InputEvent).inputType ?? "");
    });
    input.addEventListener("compositionend", () => this.typed("insertFromComposition"));
    input.addEventListener("focus", () => this.events.focused(this));
    input.addEventListener("blur", () => this.events.blurred(this));
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Backspace" || input.value !== "") return;
      event.preventDefault();
      this.events.left(this);
    });
    this.box.append(input, this.side);
    this.root.append(this.label, this.box, this.said, this.more);
  }

  /** Its label, what is shown while it is empty, and what people who listen are told besides. */
  speak(label: string, hint: string, more: string, required: boolean): void {
    this.label.textContent = label;
    this.input.placeholder = hint;
    this.more.textContent = more;
    this.input.setAttribute("aria-required", String(required));
  }

  get fault(): Fault {
    return this.plan.fault(this.input.value);
  }

  get isEmpty(): boolean {
    return this.input.value === "";
  }

  /** The fault that is shown. */
  get shownFault(): Fault {
    return this.shown;
  }

  /** Shows a fault in words, or none. */
  show(fault: Fault, words: string): void {
    this.shown = fault;
    this.root.classList.toggle("wrong", fault !== undefined);
    if (fault === undefined) this.input.removeAttribute("aria-invalid");
    else this.input.setAttribute("aria-invalid", "true");
    this.said.hidden = fault === undefined;
    this.said.textContent = fault === undefined ? "" : words;
  }

  /** Writes what is there anew, because how it is written changed. */
  rewrite(): void {
    this.input.value = this.plan.write(this.input.value, false);
  }

  clear(): void {
    this.input.value = "";
    this.show(undefined, "");
  }

  focus(): void {
    this.input.focus();
    const end = this.input.value.length;
    this.input.setSelectionRange(end, end);
  }

  /** Whether the caret stands behind everything. */
  get isAtEnd(): boolean {
    return this.input.selectionStart === this.input.value.length;
  }

  private typed(how: string): void {
    const deleting = how.startsWith("delete");
    const { input, plan } = this;
    const typed = input.value;
    const written = plan.write(typed, deleting);
    if (written !== typed) {
      const caret = input.selectionStart ?? typed.length;
      const behind = plan.digits === undefined ? caret : caretIn(plan.digits, typed, caret, written, deleting);
      input.value = written;
      if (document.activeElement === input) input.setSelectionRange(behind, behind);
    }
    // What the browser fills in has no such word: it fills every field, and the caret stays where it is.
    this.events.changed(this, how.startsWith("insert"));
  }
}

/** Where the caret stands in the written text: behind as many digits as before, and behind the blank that follows a group. */
function caretIn(digits: (text: string) => string, typed: string, caret: number, written: string, deleting: boolean): number {
  if (caret >= typed.length) return written.length;
  const before = digits(typed.slice(0, caret)).length;
  let at = 0;
  let seen = 0;
  while (at < written.length && seen < before) {
    if (digits(written.charAt(at)) !== "") seen += 1;
    at += 1;
  }
  while (!deleting && at < written.length && digits(written.charAt(at)) === "") at += 1;
  return at;
}

/** More than anybody types: a number with blanks, or a long name. */
const TYPED_CHARS_MAX = 120;
