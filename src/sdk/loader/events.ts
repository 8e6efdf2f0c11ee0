// Events of an element: who listens, and calls that a listener's fault does not stop.

import type { ElementEvents } from "../shared/elements";
import type { FromFrame } from "../shared/protocol";

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
