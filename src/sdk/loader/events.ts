// Events of an element: who listens, and calls that a listener's fault does not stop.

import type { Change, FromFrame } from "../shared/protocol";
import type { Failure, Field } from "../shared/failure";

/** What each event tells its listeners. */
export interface ElementEvents {
  /** The fields can be typed into. */
  ready: undefined;
  /** Something about the fields is different; never what was typed. */
  change: Change;
  /** Everything is typed and valid; once each time that becomes true. */
  complete: Change;
  focus: { readonly field: Field };
  blur: { readonly field: Field };
  /** The frame cannot work. */
  error: Failure;
  /** Enter was pressed in a field. */
  submit: undefined;
}

/** A listener of one event. */
export type Listener<Name extends keyof ElementEvents> = (event: ElementEvents[Name]) => void;

/** Listeners by event. */
export class Listeners {
  private readonly known = new Map<keyof ElementEvents, Set<(event: never) => void>>();

  add<Name extends keyof ElementEvents>(name: Name, listener: Listener<Name>): void {
    const set = this.known.get(name) ?? new Set();
    set.add(listener);
    this.known.set(name, set);
  }

  remove<Name extends keyof ElementEvents>(name: Name, listener: Listener<Name>): void {
    this.known.get(name)?.delete(listener);
  }

  emit<Name extends keyof ElementEvents>(name: Name, event: ElementEvents[Name]): void {
    for (const listener of this.known.get(name) ?? []) {
      try {
        (listener as Listener<Name>)(event);
      } catch (fault) {
        // The shop's own fault shows up where the shop looks for it, and the fields go on.
        setTimeout(() => {
          throw fault;
        });
      }
    }
  }

  clear(): void {
    this.known.clear();
  }
}

/** Whether a message is an answer to a call. */
export function isAnswer(message: FromFrame): message is Extract<FromFrame, { id: number }> {
  return message.type === "done" || message.type === "failed";
}
