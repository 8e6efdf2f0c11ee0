// The frame's door: who may hand over a port. The page around it alone, of an origin that the vault wrote into the document.

import { helloOf, type Hello } from "../shared/protocol";
import { sessionFacts } from "./seal";

/** What came in with the first message. */
export interface Guest {
  readonly hello: Hello;
  readonly port: MessagePort;
  /** The origin of the page around the frame, as the browser says it. */
  readonly origin: string;
}

/** The guest that a message brings, or nothing. `around` is the window around the frame, none for a page of its own. */
export function guestOf(event: MessageEvent<unknown>, around: unknown, origins: readonly string[]): Guest | undefined {
  const port = event.ports[0];
  if (around === undefined || event.source !== around || port === undefined || !origins.includes(event.origin)) return undefined;
  const hello = helloOf(event.data);
  return hello === undefined ? undefined : { hello, port, origin: event.origin };
}

/**
 * Whether a session was made for this page. The vault takes cards from the frame's origin under any session; so that no page
 * uses one that it got hold of, the frame takes only those of the page around it.
 */
export function isFor(session: string, origin: string): boolean {
  return sessionFacts(session)?.origins.includes(origin) === true;
}

/** The origins in the document: the vault wrote them there from the ticket that it verified. */
export function originsOf(document: Document): readonly string[] {
  return (document.documentElement.dataset["origins"] ?? "").split(" ").filter((origin) => origin !== "");
}
