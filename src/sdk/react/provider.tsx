// What components below a provider share: the SDK of the page, as soon as it is there, and elements that look alike.

import { createContext, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import type { Elements, ElementsOptions, Strongroom } from "../npm/types";

/** What `<StrongroomProvider>` takes. */
export interface ProviderProps extends ElementsOptions {
  /** `Strongroom(key, options)`, or a promise of it; null until there is one, for instance on a server. */
  readonly strongroom: Strongroom | Promise<Strongroom> | null;
  readonly children?: ReactNode;
}

interface Shared {
  readonly strongroom: Strongroom | null;
  readonly elements: Elements | null;
}

const Context = createContext<Shared | undefined>(undefined);

/** Gives the SDK to the components below it. Another locale or appearance makes new elements; another SDK does, too. */
export function StrongroomProvider({ strongroom, locale, appearance, children }: ProviderProps): ReactNode {
  const [ready, setReady] = useState<Strongroom | null>(isPromise(strongroom) ? null : strongroom);
  useEffect(() => {
    if (!isPromise(strongroom)) {
      setReady(strongroom);
      return undefined;
    }
    let current = true;
    strongroom.then(
      (made) => {
        if (current) setReady(made);
      },
      // Whoever made the promise hears of it; without the SDK nothing is shown.
      () => undefined,
    );
    return () => {
      current = false;
    };
  }, [strongroom]);
  // A shop writes the appearance as an object in its markup, which is another one with each rendering.
  const looks = JSON.stringify(appearance ?? null);
  const shared = useMemo<Shared>(() => {
    const options: ElementsOptions = {
      ...(locale === undefined ? {} : { locale }),
      ...(looks === "null" ? {} : { appearance: JSON.parse(looks) as NonNullable<ElementsOptions["appearance"]> }),
    };
    return { strongroom: ready, elements: ready === null ? null : ready.elements(options) };
  }, [ready, locale, looks]);
  return <Context.Provider value={shared}>{children}</Context.Provider>;
}

/** The SDK; null until it is there. */
export function useStrongroom(): Strongroom | null {
  return useShared("useStrongroom").strongroom;
}

/** What makes elements; null until the SDK is there. */
export function useElements(): Elements | null {
  return useShared("useElements").elements;
}

function useShared(who: string): Shared {
  const shared = useContext(Context);
  if (shared === undefined) throw new Error(`${who} is used outside of <StrongroomProvider>`);
  return shared;
}

function isPromise(value: ProviderProps["strongroom"]): value is Promise<Strongroom> {
  return value !== null && typeof (value as { then?: unknown }).then === "function";
}
