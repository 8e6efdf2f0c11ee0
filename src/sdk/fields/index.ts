// The frame's script, `fields.js`: takes one port from a page that may have one, and stores what is typed. Nothing of it leaves the frame unsealed.

import type { Failure } from "../shared/failure";
import { HEIGHT_MAX, toFrame, type FromFrame, type ToFrame } from "../shared/protocol";
import { guestOf, isFor, originsOf, type Guest } from "./door";
import { Form } from "./form";
import { Intake, type Fault } from "./intake";

const AROUND = window.parent === window ? undefined : window.parent;
const ORIGINS = originsOf(document);

window.addEventListener("message", function greet(event: MessageEvent<unknown>) {
  const guest = guestOf(event, AROUND, ORIGINS);
  if (guest === undefined) return;
  // One page, one port: whoever comes later is not heard.
  window.removeEventListener("message", greet);
  begin(guest);
});

function begin({ hello, port, origin }: Guest): void {
  const send = (message: FromFrame): void => port.postMessage(message);
  const intake = new Intake({
    fetch: (path, init) => fetch(path, init),
    pause: (ms) => new Promise((done) => setTimeout(done, ms)),
    newKey: () => crypto.randomUUID(),
  });
  const form = new Form(hello.kind, {
    changed: (change) => send({ type: "change", change }),
    focused: (field) => send({ type: "focus", field }),
    blurred: (field) => send({ type: "blur", field }),
    submitted: () => send({ type: "submit" }),
    typed: () => intake.forget(),
  });
  let { session } = hello;
  let busy = false;

  const failed = (id: number, fault: Fault): void => {
    if (fault.field !== undefined) form.refuse(fault.field, fault.code);
    const failure: Failure = { ...fault, message: form.words(fault.code) };
    send({ type: "failed", id, failure });
  };

  const work = async (message: Extract<ToFrame, { id: number }>): Promise<void> => {
    const { id } = message;
    if (message.type === "tokenize" ? hello.kind !== "card" : hello.kind !== "cvc") return failed(id, { code: "invalid_request" });
    if (busy) return failed(id, { code: "invalid_request" });
    if (!isFor(session, origin)) return failed(id, { code: "session_expired" });
    const wrong = form.reject();
    if (wrong !== undefined) return failed(id, wrong);
    busy = true;
    form.hold(true);
    try {
      const outcome =
        message.type === "tokenize"
          ? await intake.tokenize(() => form.card(), session, message.request)
          : await intake.sealCvc(message.paymentMethod, () => form.cvc(), session);
      form.hold(false);
      if ("fault" in outcome) return failed(id, outcome.fault);
      form.clear();
      send({ type: "done", id, result: outcome.result });
    } catch {
      // Nothing of a fault of ours is told: it could hold what was typed.
      form.hold(false);
      failed(id, { code: "unavailable" });
    } finally {
      busy = false;
    }
  };

  port.onmessage = (event: MessageEvent<unknown>) => {
    const message = toFrame(event.data);
    if (message === undefined) return;
    switch (message.type) {
      case "update":
        form.take(message.options);
        break;
      case "focus":
        form.focus();
        break;
      case "blur":
        form.blur();
        break;
      case "clear":
        intake.forget();
        form.clear();
        break;
      case "session":
        session = message.session;
        break;
      default:
        void work(message);
    }
  };

  form.take(hello.options);
  document.body.replaceChildren(form.root);
  let told = -1;
  const measure = (): void => {
    const height = Math.min(Math.ceil(form.root.getBoundingClientRect().height), HEIGHT_MAX);
    if (height !== told) send({ type: "size", height });
    told = height;
  };
  new ResizeObserver(measure).observe(form.root);
  measure();
  // The key is in the browser's cache by the time that it is needed.
  void intake.key(false);
  send({ type: "ready" });
}
