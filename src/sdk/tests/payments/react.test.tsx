// @vitest-environment jsdom
// The React components: nothing on a server, one element for each mounted component, and none left behind.

import { StrictMode, act, createElement, useState } from "react";
import { createRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FieldsElement, Strongroom } from "../../npm/types";
import { CardElement, PaymentElement, StrongroomProvider, useElements, useStrongroom } from "../../react/index";

class Made {
  readonly heard = new Map<string, (event: unknown) => void>();
  readonly updates: unknown[] = [];
  place: HTMLElement | undefined;
  gone = false;

  constructor(
    readonly kind: string,
    readonly options: unknown,
  ) {}

  on(name: string, listener: (event: unknown) => void): this {
    this.heard.set(name, listener);
    return this;
  }
  mount(place: HTMLElement): this {
    this.place = place;
    return this;
  }
  update(options: unknown): this {
    this.updates.push(options);
    return this;
  }
  destroy(): void {
    this.gone = true;
  }
}

let made: Made[];
let groups: unknown[];
let root: Root;

function sdk(): Strongroom {
  const elements = (shared: unknown): unknown => {
    groups.push(shared);
    return {
      create: (kind: string, options: unknown) => {
        const one = new Made(kind, options);
        made.push(one);
        return one;
      },
    };
  };
  return { elements } as unknown as Strongroom;
}

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  made = [];
  groups = [];
  document.body.innerHTML = '<div id="app"></div>';
  root = createRoot(document.getElementById("app") as HTMLElement);
});
afterEach(() => act(() => root.unmount()));

describe("components", () => {
  it("render an empty place on a server", () => {
    const page = createElement(StrongroomProvider, { strongroom: null }, createElement(CardElement, { className: "card" }), createElement(PaymentElement, {}));
    expect(renderToString(page)).toBe('<div class="card"></div><div></div>');
  });

  it("mount one element in their place, tell what it tells, and take it away with them", async () => {
    const strongroom = sdk();
    const paid: unknown[] = [];
    const page = (
      <StrongroomProvider strongroom={strongroom} locale="de">
        <PaymentElement id="pay" options={{ returnUrl: "https://shop.test/done" }} onPaid={(event) => paid.push(event)} />
      </StrongroomProvider>
    );
    await act(() => root.render(page));
    expect(groups).toEqual([{ locale: "de" }]);
    expect(made.map((one) => [one.kind, one.options, one.place?.id])).toEqual([["payment", { returnUrl: "https://shop.test/done" }, "pay"]]);
    made[0]?.heard.get("paid")?.("done");
    expect(paid).toEqual(["done"]);
    await act(() => root.render(<p />));
    expect(made[0]?.gone).toBe(true);
  });

  it("leave no element behind when React mounts them twice", async () => {
    const strongroom = sdk();
    await act(() => root.render(<StrictMode><StrongroomProvider strongroom={strongroom}><CardElement /></StrongroomProvider></StrictMode>));
    expect(made.length).toBeGreaterThanOrEqual(2);
    expect(made.filter((one) => !one.gone)).toHaveLength(1);
  });

  it("keep their element when the same options come as another object, and update it when they change", async () => {
    const strongroom = sdk();
    const given: (FieldsElement | null)[] = [];
    const onElement = (element: FieldsElement | null): void => void given.push(element);
    let change: (disabled: boolean) => void = () => undefined;
    const Shop = () => {
      const [disabled, set] = useState(false);
      change = set;
      return (
        <StrongroomProvider strongroom={strongroom} appearance={{ theme: "dark" }}>
          <CardElement options={{ disabled }} onElement={onElement} />
        </StrongroomProvider>
      );
    };
    await act(() => root.render(<Shop />));
    await act(() => change(true));
    expect([made.length, groups.length, made[0]?.updates.at(-1)]).toEqual([1, 1, { disabled: true }]);
    expect(given).toEqual([made[0]]);
  });

  it("wait for an SDK that is still on its way", async () => {
    const strongroom = sdk();
    let come: (made: Strongroom) => void = () => undefined;
    const coming = new Promise<Strongroom>((done) => (come = done));
    const seen: unknown[] = [];
    const Probe = () => {
      seen.push([useStrongroom() !== null, useElements() !== null]);
      return <CardElement />;
    };
    await act(() => root.render(<StrongroomProvider strongroom={coming}><Probe /></StrongroomProvider>));
    expect([made.length, seen.at(-1)]).toEqual([0, [false, false]]);
    await act(async () => come(strongroom));
    expect([made.length, seen.at(-1)]).toEqual([1, [true, true]]);
  });

  it("outside of a provider say what is missing", () => {
    const Probe = () => createElement("p", {}, String(useElements()));
    expect(() => renderToString(<Probe />)).toThrow("<StrongroomProvider>");
  });
});
