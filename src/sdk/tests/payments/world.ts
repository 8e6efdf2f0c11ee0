// A world for tests: a server that answers from a list, a clock that pauses move, and a network that can be away.

import type { World } from "../../client/world";

/** One request as the server saw it. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly key: string | undefined;
  readonly apiKey: string | undefined;
}

/** What the server does with one request: an answer, or nothing comes back. */
export type Turn = readonly [status: number, body: unknown, headers?: Readonly<Record<string, string>>] | "lost";

/** A world and what happened in it. */
export class FakeWorld implements World {
  readonly seen: Seen[] = [];
  readonly pauses: number[] = [];
  online = true;
  time = Date.UTC(2031, 5, 15);
  private keys = 0;

  constructor(private readonly turns: Turn[]) {}

  readonly fetch = (async (input: RequestInfo | URL, init?: RequestInit) => {
    const headers = new Headers(init?.headers);
    this.seen.push({
      method: init?.method ?? "GET",
      path: String(input).replace(/^https:\/\/[^/]+/, ""),
      body: typeof init?.body === "string" ? JSON.parse(init.body) : undefined,
      key: headers.get("idempotency-key") ?? undefined,
      apiKey: headers.get("api-key") ?? undefined,
    });
    const turn = this.turns.shift();
    if (turn === undefined) throw new Error("the server was asked once too often");
    if (turn === "lost") throw new TypeError("Failed to fetch");
    return new Response(JSON.stringify(turn[1]), { status: turn[0], headers: turn[2] ?? {} });
  }) as typeof fetch;

  readonly pause = (ms: number): Promise<void> => {
    this.pauses.push(ms);
    this.time += ms;
    return Promise.resolve();
  };

  readonly now = (): number => this.time;
  readonly newKey = (): string => `key-${(this.keys += 1)}`;
  readonly isOnline = (): boolean => this.online;
  /** The network is back at once when somebody waits for it. */
  readonly onceOnline = (): Promise<void> => {
    this.online = true;
    return Promise.resolve();
  };

  /** Turns that nobody asked for. */
  get left(): number {
    return this.turns.length;
  }
}

/** A payment as the API answers it. */
export function answered(status: string, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { payment_id: "pay_1", status, amount: 1000, currency: "EUR", customer_id: "cus_1", next_action: null, ...more };
}

/** A refusal as the API answers it. */
export function refused(code: string, message = "no"): Record<string, unknown> {
  return { error: { type: "invalid_request", code, message } };
}

export const SECRET = "pay_1_secret_0123456789abcdef";
