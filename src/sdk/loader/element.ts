// One element on the shop's page: the frame of the vault's origin, the port to it, its size, and what it tells.

import { faultOf } from "../shared/appearance";
import { StrongroomError, wrong } from "../shared/failure";
import {
  PROTOCOL,
  fromFrame,
  isCvcResult,
  isTokenizeRequest,
  isTokenizeResult,
  type CvcResult,
  type ElementKind,
  type FrameOptions,
  type FromFrame,
  type Hello,
  type ToFrame,
  type TokenizeRequest,
  type TokenizeResult,
} from "../shared/protocol";
import type { ElementEvents } from "../shared/elements";
import { Listeners, isAnswer, type Listener } from "./events";
import { ticketOf, type Sessions } from "./session";

/** What an element needs to know of the vault. */
export interface Place {
  /** The vault's origin. */
  readonly vault: string;
  readonly sessions: Sessions;
  /** Who is on the page, and is told of another session. An element that is on no page asks for it when it is mounted. */
  readonly mounted: Set<FieldsElement>;
}

/** Card fields, or the CVC field of a stored card. */
export class FieldsElement {
  private readonly listeners = new Listeners();
  private readonly waiting = new Map<number, Waiting>();
  private frame: HTMLIFrameElement | undefined;
  private port: MessagePort | undefined;
  private running: Promise<TokenizeResult | CvcResult> | undefined;
  private ready = false;
  private wasComplete = false;
  private nextId = 1;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly kind: ElementKind,
    private readonly place: Place,
    private options: FrameOptions,
  ) {
    checkOptions(options);
  }

  /** Puts the fields into an element of the page, named by a selector or given. */
  mount(target: string | HTMLElement): this {
    const host = typeof target === "string" ? document.querySelector<HTMLElement>(target) : target;
    if (host === null) throw wrong(`no element of the page matches ${JSON.stringify(target)}`);
    if (this.frame !== undefined) throw wrong("this element is mounted already; unmount it first");
    const frame = document.createElement("iframe");
    frame.title = this.kind === "card" ? "Strongroom card fields" : "Strongroom CVC field";
    frame.setAttribute("scrolling", "no");
    frame.referrerPolicy = "no-referrer";
    // The ring around a focused field needs room that the frame would cut off.
    frame.style.cssText = FRAME_STYLE;
    this.frame = frame;
    this.place.mounted.add(this);
    this.start(frame, host).catch((fault: unknown) => {
      if (this.frame === frame) this.fail(fault);
    });
    return this;
  }

  /** Takes the fields off the page; what was typed is gone. */
  unmount(): void {
    clearTimeout(this.timer);
    this.port?.close();
    this.frame?.remove();
    this.place.mounted.delete(this);
    this.port = this.frame = undefined;
    this.ready = this.wasComplete = false;
    this.abandon("not_mounted", "the element was unmounted");
  }

  /** Unmounts and forgets its listeners. */
  destroy(): void {
    this.unmount();
    this.listeners.clear();
  }

  /** Changes options; those that are not named stay. */
  update(options: FrameOptions): this {
    checkOptions(options);
    this.options = { ...this.options, ...options };
    this.send({ type: "update", options: this.options });
    return this;
  }

  focus(): void {
    this.frame?.focus();
    this.send({ type: "focus" });
  }

  blur(): void {
    this.send({ type: "blur" });
  }

  clear(): void {
    this.send({ type: "clear" });
  }

  on<Name extends keyof ElementEvents>(name: Name, listener: Listener<Name>): this {
    this.listeners.add(name, listener);
    return this;
  }

  off<Name extends keyof ElementEvents>(name: Name, listener: Listener<Name>): this {
    this.listeners.remove(name, listener);
    return this;
  }

  /** Stores the card that is typed. A second call while one runs gets the answer of the first. */
  async tokenize(request: TokenizeRequest = {}): Promise<TokenizeResult> {
    if (this.kind !== "card") throw wrong("only a card element stores cards");
    if (!isTokenizeRequest(request)) throw wrong("tokenize takes customer, storage and metadata");
    const result = await this.once((id) => ({ type: "tokenize", id, request }));
    if (!isTokenizeResult(result)) throw wrong("the frame answered something else");
    return result;
  }

  /** Seals the CVC that is typed, for a stored card of the session's customer. */
  async sealCvc(paymentMethod: string): Promise<CvcResult> {
    if (this.kind !== "cvc") throw wrong("only a cvc element seals a CVC for a stored card");
    const result = await this.once((id) => ({ type: "seal_cvc", id, paymentMethod }));
    if (!isCvcResult(result)) throw wrong("the frame answered something else");
    return result;
  }

  /** Goes on under another session. */
  takeSession(session: string): void {
    this.send({ type: "session", session });
  }

  private once(message: (id: number) => ToFrame): Promise<TokenizeResult | CvcResult> {
    this.running ??= this.call(message).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async call(message: (id: number) => ToFrame): Promise<TokenizeResult | CvcResult> {
    const session = await this.place.sessions.current();
    try {
      return await this.ask(message);
    } catch (fault) {
      if (!(fault instanceof StrongroomError) || fault.code !== "session_expired") throw fault;
      const renewed = await this.place.sessions.renewed(session);
      if (renewed === undefined) throw fault;
      this.takeSession(renewed);
      return this.ask(message);
    }
  }

  private ask(message: (id: number) => ToFrame): Promise<TokenizeResult | CvcResult> {
    return new Promise((done, failed) => {
      if (this.port === undefined || !this.ready) {
        failed(new StrongroomError({ code: "not_mounted", message: "the fields are not ready; wait for the ready event" }));
        return;
      }
      const id = this.nextId++;
      this.waiting.set(id, { done, failed });
      this.send(message(id));
    });
  }

  private async start(frame: HTMLIFrameElement, host: HTMLElement): Promise<void> {
    const session = await this.place.sessions.current();
    if (this.frame !== frame) return;
    // A frame that the page moves loads anew, and is greeted anew.
    frame.addEventListener("load", () => {
      this.greet(frame).catch((fault: unknown) => {
        if (this.frame === frame) this.fail(fault);
      });
    });
    frame.src = `${this.place.vault}/sdk/${__VERSION__}/fields?ticket=${ticketOf(session)}`;
    host.append(frame);
    this.expect(frame, READY_WITHIN_MS);
  }

  /** Says so where the fields do not come up in time; one that comes up later works all the same. */
  private expect(frame: HTMLIFrameElement, withinMs: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      if (this.frame === frame && !this.ready) this.fail(new StrongroomError({ code: "frame_unavailable", message: UNAVAILABLE }));
    }, withinMs);
  }

  private async greet(frame: HTMLIFrameElement): Promise<void> {
    if (this.frame !== frame) return;
    this.lose();
    const session = await this.place.sessions.current();
    if (this.frame !== frame || frame.contentWindow === null) return;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event) => {
      const message = fromFrame(event.data);
      if (message !== undefined && this.port === port1) this.hear(message);
    };
    this.port?.close();
    this.port = port1;
    // The document's script ran before it was loaded. A document that the browser does not show here is loaded, too.
    this.expect(frame, READY_AFTER_LOAD_MS);
    const hello: Hello = { strongroom: PROTOCOL, kind: this.kind, session, options: this.options };
    // A window of any other origin than the vault's does not get the message, and no port.
    frame.contentWindow.postMessage(hello, this.place.vault, [port2]);
  }

  /** The document that was there before is gone, with what was typed and with every answer that it owed. */
  private lose(): void {
    this.port?.close();
    this.port = undefined;
    this.ready = this.wasComplete = false;
    this.abandon("network", LOADED_ANEW);
  }

  private hear(message: FromFrame): void {
    if (isAnswer(message)) {
      const waiting = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (message.type === "done") waiting?.done(message.result);
      else waiting?.failed(new StrongroomError(message.failure));
      return;
    }
    switch (message.type) {
      case "ready":
        this.ready = true;
        clearTimeout(this.timer);
        // Told again: an update may have come between the first message and this one.
        this.send({ type: "update", options: this.options });
        this.listeners.emit("ready", undefined);
        break;
      case "size":
        if (this.frame !== undefined) this.frame.style.height = `${message.height}px`;
        break;
      case "change":
        this.listeners.emit("change", message.change);
        if (message.change.complete && !this.wasComplete) this.listeners.emit("complete", message.change);
        this.wasComplete = message.change.complete;
        break;
      case "submit":
        this.listeners.emit("submit", undefined);
        break;
      default:
        this.listeners.emit(message.type, { field: message.field });
    }
  }

  private fail(fault: unknown): void {
    const known = fault instanceof StrongroomError;
    const error = known ? fault : new StrongroomError({ code: "frame_unavailable", message: UNAVAILABLE });
    this.listeners.emit("error", error);
    this.abandon(error.code, error.message);
  }

  private abandon(code: StrongroomError["code"], message: string): void {
    for (const waiting of this.waiting.values()) waiting.failed(new StrongroomError({ code, message }));
    this.waiting.clear();
  }

  private send(message: ToFrame): void {
    this.port?.postMessage(message);
  }
}

interface Waiting {
  readonly done: (result: TokenizeResult | CvcResult) => void;
  readonly failed: (fault: StrongroomError) => void;
}

function checkOptions(options: FrameOptions): void {
  const fault = options.appearance === undefined ? undefined : faultOf(options.appearance);
  if (fault !== undefined) throw wrong(`appearance: ${fault.at}: ${fault.why}`);
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) throw wrong(`there is no option ${name}; known are ${OPTIONS.join(", ")}`);
  }
}

const OPTIONS = ["locale", "appearance", "holderName", "brands", "brand", "disabled"];

const FRAME_STYLE =
  "border:0;margin:-4px;padding:0;width:calc(100% + 8px);min-width:0;height:0;display:block;overflow:hidden;" +
  "background:transparent;color-scheme:light;user-select:none";

const READY_WITHIN_MS = 30_000;
const READY_AFTER_LOAD_MS = 10_000;

const UNAVAILABLE = "the vault's fields did not come up; is this page among the session's allowed_origins, and the vault reachable?";

const LOADED_ANEW = "the vault's fields were loaded anew before they answered, and are empty";
