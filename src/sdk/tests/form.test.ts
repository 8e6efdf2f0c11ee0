// @vitest-environment jsdom
// The form as people and screen readers meet it, and what the page is told of it.
import { beforeEach, describe, expect, test } from "vitest";
import { Form } from "../fields/form";
import type { Change, FrameOptions } from "../shared/protocol";

let form: Form;
let told: Change[];
let submitted: number;

function start(options: FrameOptions = { locale: "en" }, kind: "card" | "cvc" = "card"): void {
  told = [];
  submitted = 0;
  form = new Form(kind, {
    changed: (change) => told.push(change),
    focused: () => undefined,
    blurred: () => undefined,
    submitted: () => (submitted += 1),
    typed: () => undefined,
  });
  form.take(options);
  document.body.replaceChildren(form.root);
}

function input(name: string): HTMLInputElement {
  const found = document.querySelector<HTMLInputElement>(`#sr-${name}`);
  if (found === null) throw new Error(name);
  return found;
}

/** What a browser does when somebody types or pastes at the caret. */
function type(name: string, text: string): void {
  const field = input(name);
  field.focus();
  const at = field.selectionStart ?? field.value.length;
  field.value = field.value.slice(0, at) + text + field.value.slice(field.selectionEnd ?? at);
  field.setSelectionRange(at + text.length, at + text.length);
  field.dispatchEvent(new InputEvent("input", { inputType: "insertText" }));
}

function erase(name: string): void {
  const field = input(name);
  const at = field.selectionStart ?? 0;
  field.value = field.value.slice(0, at - 1) + field.value.slice(at);
  field.setSelectionRange(at - 1, at - 1);
  field.dispatchEvent(new InputEvent("input", { inputType: "deleteContentBackward" }));
}

const last = (): Change | undefined => told[told.length - 1];

beforeEach(() => start());

describe("typing", () => {
  test("a whole card is complete, the caret moves along, and no digit is told", () => {
    for (const digit of "4242424242424242") type("number", digit);
    expect(input("number").value).toBe("4242 4242 4242 4242");
    expect(document.activeElement).toBe(input("expiry"));
    for (const digit of "1231") type("expiry", digit);
    expect(input("expiry").value).toBe("12 / 31");
    expect(document.activeElement).toBe(input("cvc"));
    type("cvc", "123");
    expect(last()).toEqual({ kind: "card", brand: "visa", complete: true, empty: false, errors: {} });
    expect(form.card()).toEqual({ number: "4242424242424242", exp_month: 12, exp_year: 2031, cvc: "123" });
    expect(JSON.stringify(told)).not.toMatch(/\d/);
  });

  test("a pasted number with blanks is grouped", () => {
    type("number", " 3782-822463 10005 ");
    expect(input("number").value).toBe("3782 822463 10005");
    expect(last()?.brand).toBe("amex");
    expect(input("cvc").placeholder).toBe("1234");
  });

  test("the caret stays at its digit", () => {
    type("number", "42424242");
    input("number").setSelectionRange(2, 2);
    type("number", "9");
    expect(input("number").value).toBe("4294 2424 2");
    expect(input("number").selectionStart).toBe(3);
    input("number").setSelectionRange(5, 5);
    erase("number");
    // The blank came back, and the caret stands before it: the next one takes a digit.
    expect(input("number").selectionStart).toBe(4);
    erase("number");
    expect(input("number").value).toBe("4292 4242");
  });

  test("a shorter CVC is cut when the brand changes", () => {
    type("number", "37");
    type("cvc", "1234");
    input("number").value = "";
    type("number", "42");
    expect(input("cvc").value).toBe("123");
  });

  test("what an input method composes is read when it is done", () => {
    const number = input("number");
    number.focus();
    number.value = "４２４２４";
    number.dispatchEvent(new InputEvent("input", { inputType: "insertCompositionText", isComposing: true }));
    expect(number.value).toBe("４２４２４");
    number.dispatchEvent(new CompositionEvent("compositionend"));
    expect(number.value).toBe("4242 4");
  });

  test("what the browser fills in leaves the caret where it is", () => {
    input("number").focus();
    input("number").value = "4242424242424242";
    input("number").dispatchEvent(new Event("input"));
    input("expiry").value = "12/2031";
    input("expiry").dispatchEvent(new Event("input"));
    expect([input("number").value, input("expiry").value]).toEqual(["4242 4242 4242 4242", "12 / 31"]);
    expect(document.activeElement).toBe(input("number"));
  });

  test("backspace in an empty field goes back", () => {
    input("expiry").focus();
    input("expiry").dispatchEvent(new KeyboardEvent("keydown", { key: "Backspace", cancelable: true }));
    expect(document.activeElement).toBe(input("number"));
  });

  test("Enter is told, and nothing is sent anywhere", () => {
    form.root.requestSubmit();
    expect(submitted).toBe(1);
  });
});

describe("faults", () => {
  test("a wrong number is said at once, an unfinished one when it is left", () => {
    type("number", "4242424242424241");
    const number = input("number");
    expect(number.getAttribute("aria-invalid")).toBe("true");
    const said = document.getElementById(number.getAttribute("aria-describedby")?.split(" ")[0] ?? "");
    expect(said?.textContent).toBe("Your card number is not valid. Please check it.");
    expect(document.querySelector("[aria-live]")?.textContent).toBe(said?.textContent);
    type("expiry", "1");
    expect(input("expiry").hasAttribute("aria-invalid")).toBe(false);
    input("expiry").blur();
    expect(input("expiry").getAttribute("aria-invalid")).toBe("true");
    expect(last()?.errors).toEqual({ number: "invalid_number", expiry: "incomplete_expiry" });
  });

  test("an order to pay shows every fault and leads to the first", () => {
    type("number", "4242424242424242");
    expect(form.reject()).toEqual({ field: "expiry", code: "incomplete_expiry" });
    expect(document.activeElement).toBe(input("expiry"));
    expect(Object.keys(last()?.errors ?? {})).toEqual(["expiry", "cvc"]);
    form.clear();
    expect(last()).toMatchObject({ empty: true, complete: false, errors: {} });
    expect([...document.querySelectorAll("input")].every((field) => field.value === "")).toBe(true);
  });

  test("a brand that is not taken is said as soon as it is known", () => {
    start({ locale: "de", brands: ["visa"] });
    type("number", "37");
    expect(last()?.errors).toEqual({ number: "brand_not_accepted" });
    expect(document.querySelector(".field-number .fault")?.textContent).toBe("Karten dieser Art werden hier nicht angenommen.");
  });
});

describe("what is read and filled in", () => {
  test("every field has a label, a hint for autofill and the right keyboard", () => {
    start({ locale: "en", holderName: "required" });
    const wanted = { number: "cc-number", expiry: "cc-exp", cvc: "cc-csc", name: "cc-name" };
    for (const [name, autofill] of Object.entries(wanted)) {
      const field = input(name);
      expect(field.getAttribute("autocomplete")).toBe(autofill);
      expect(field.labels?.[0]?.textContent).not.toBe("");
      expect(field.inputMode).toBe(name === "name" ? "text" : "numeric");
      expect(field.getAttribute("aria-required")).toBe("true");
    }
  });

  test("Arabic runs from right to left and its digits from left to right", () => {
    start({ locale: "ar" });
    expect(document.documentElement.dir).toBe("rtl");
    expect(input("number").dir).toBe("ltr");
    type("number", "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢");
    expect(input("number").value).toBe("4242 4242 4242 4242");
  });

  test("the name is asked for where the shop wants it", () => {
    expect(document.querySelector<HTMLElement>(".field-name")?.hidden).toBe(true);
    form.take({ locale: "en", holderName: "required" });
    expect(document.querySelector<HTMLElement>(".field-name")?.hidden).toBe(false);
    type("name", "Ada Lovelace");
    expect(form.card().holder_name).toBe("Ada Lovelace");
  });

  test("looks that are not valid change nothing", () => {
    form.take({ locale: "en", appearance: { variables: { colorText: "#123456" } } });
    expect(document.documentElement.style.getPropertyValue("--sr-color-text")).toBe("#123456");
    form.take({ locale: "en", appearance: { variables: { colorText: "url(x)" } } });
    expect(document.documentElement.style.getPropertyValue("--sr-color-text")).toBe("#123456");
  });

  test("the CVC of a stored card stands alone", () => {
    start({ locale: "en", brand: "amex" }, "cvc");
    expect(document.querySelectorAll("input").length).toBe(1);
    type("cvc", "1234");
    expect(last()).toMatchObject({ kind: "cvc", complete: true, brand: "amex" });
    expect(form.cvc()).toBe("1234");
  });
});
