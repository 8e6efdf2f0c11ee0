// Client sessions as the page sees them: which part of the text may stand in an address, and where a new one comes from.

import type { SessionSource } from "../shared/elements";
import { StrongroomError, isFailure, wrong } from "../shared/failure";

/**
 * The frame ticket inside a session: `ss_` ticket claims `.` ticket tag `.` further claims `.` tag. The first two parts name
 * pages and an end, and authorize nothing but the frame's document.
 */
export function ticketOf(session: string): string {
  const parts = /^ss_([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+$/.exec(session);
  if (parts?.[1] === undefined) throw wrong("this is not a client session: give the client_secret of POST /v1/sessions (ss_...)");
  return parts[1];
}

/** The session that fields work under; brought once, and anew when the vault says that it ended. */
export class Sessions {
  private pending: Promise<string> | undefined;
  /** The session that `pending` became. */
  private known: string | undefined;

  constructor(private readonly source: SessionSource) {
    if (typeof source === "string") ticketOf(source);
  }

  /** The session in use. */
  async current(): Promise<string> {
    this.pending ??= this.bring();
    const { pending } = this;
    const session = await pending;
    if (this.pending === pending) this.known = session;
    return session;
  }

  /** A session that somebody brought. */
  take(session: string): void {
    ticketOf(session);
    this.pending = Promise.resolve(session);
    this.known = session;
  }

  /** A new session in place of `old`, where it is known where one comes from. */
  async renewed(old: string): Promise<string | undefined> {
    if (typeof this.source !== "function") return this.known === old ? undefined : this.known;
    // Several elements may be told at the same time that theirs ended; one new session is enough for all.
    if (this.known === old) this.pending = this.known = undefined;
    return this.current();
  }

  private bring(): Promise<string> {
    const { source } = this;
    if (typeof source === "string") return Promise.resolve(source);
    const brought = broughtBy(source);
    // What failed is not kept: whoever asks next asks anew.
    brought.catch(() => {
      if (this.pending === brought) this.pending = undefined;
    });
    return brought;
  }
}

async function broughtBy(source: () => Promise<string>): Promise<string> {
  try {
    const session = await source();
    ticketOf(session);
    return session;
  } catch (fault) {
    throw failureOf(fault);
  }
}

/** Why no session came. A failure may come from another file of the SDK, with a class of its own: it is known by its shape. */
function failureOf(fault: unknown): StrongroomError {
  if (fault instanceof StrongroomError) return fault;
  if (isFailure(fault)) return new StrongroomError(fault);
  if (!navigator.onLine || isOfFetch(fault)) {
    return new StrongroomError({ code: "network", message: "no client session was brought: the network is away" });
  }
  return new StrongroomError({ code: "session_expired", message: "no client session was brought" });
}

/** Whether `fetch` threw it because it got no answer. A page's own mistakes are of the same class: the words tell them apart. */
function isOfFetch(fault: unknown): boolean {
  return fault instanceof Error && fault.name === "TypeError" && /failed to fetch|fetch failed|load failed|network/i.test(fault.message);
}
