// What the payments part needs of the browser. Tests give their own.

/** The world outside. */
export interface World {
  readonly fetch: typeof fetch;
  readonly pause: (ms: number) => Promise<void>;
  readonly now: () => number;
  /** A random text that nobody guesses and that never comes again. */
  readonly newKey: () => string;
  readonly isOnline: () => boolean;
  /** Settles as soon as the browser says that it has a network again, or after so many milliseconds. */
  readonly onceOnline: (withinMs: number) => Promise<void>;
}

/** The browser's own. */
export function browserWorld(): World {
  return {
    fetch: (input, init) => fetch(input, init),
    pause: (ms) => new Promise((done) => setTimeout(done, ms)),
    now: () => Date.now(),
    newKey: () => {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    },
    isOnline: () => navigator.onLine,
    onceOnline: (withinMs) =>
      new Promise((done) => {
        const end = (): void => {
          clearTimeout(timer);
          removeEventListener("online", end);
          done();
        };
        const timer = setTimeout(end, withinMs);
        addEventListener("online", end);
      }),
  };
}
