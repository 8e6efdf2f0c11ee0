// The elements as components: mounted once for each mounted component, updated when their options change, gone with it.

import { useEffect, useRef, type ReactNode } from "react";
import type { ElementEvents, FieldsElement } from "../npm/types";
import type { SheetElement, SheetEvents, SheetOptions } from "../shared/payments";
import type { FrameOptions } from "../shared/protocol";
import { useElements } from "./provider";

interface Placed {
  readonly id?: string;
  readonly className?: string;
}

/** What `<CardElement>` and `<CvcElement>` take. */
export interface FieldsProps extends Placed {
  readonly options?: FrameOptions;
  /** The element as soon as it is mounted, for `confirmPayment` and `tokenize`; null when it is gone. */
  readonly onElement?: (element: FieldsElement | null) => void;
  readonly onReady?: () => void;
  readonly onChange?: (event: ElementEvents["change"]) => void;
  readonly onComplete?: (event: ElementEvents["complete"]) => void;
  readonly onFocus?: (event: ElementEvents["focus"]) => void;
  readonly onBlur?: (event: ElementEvents["blur"]) => void;
  readonly onError?: (event: ElementEvents["error"]) => void;
  readonly onSubmit?: () => void;
}

/** What `<PaymentElement>` takes. Its options are read when it is mounted. */
export interface PaymentProps extends Placed {
  readonly options?: SheetOptions;
  readonly onReady?: () => void;
  readonly onPaid?: (event: SheetEvents["paid"]) => void;
  readonly onFailed?: (event: SheetEvents["failed"]) => void;
  readonly onChange?: (event: SheetEvents["change"]) => void;
}

/** Fields for a card. */
export function CardElement(props: FieldsProps): ReactNode {
  return <Fields kind="card" {...props} />;
}

/** The field for the CVC of a stored card. */
export function CvcElement(props: FieldsProps): ReactNode {
  return <Fields kind="cvc" {...props} />;
}

/** The payment sheet. */
export function PaymentElement(props: PaymentProps): ReactNode {
  const elements = useElements();
  const place = useRef<HTMLDivElement>(null);
  const latest = useLatest(props);
  useEffect(() => {
    if (elements === null || place.current === null) return undefined;
    const sheet: SheetElement = elements.create("payment", latest.current.options);
    sheet.on("ready", () => latest.current.onReady?.());
    sheet.on("paid", (event) => latest.current.onPaid?.(event));
    sheet.on("failed", (event) => latest.current.onFailed?.(event));
    sheet.on("change", (event) => latest.current.onChange?.(event));
    sheet.mount(place.current);
    return () => sheet.destroy();
  }, [elements, latest]);
  return <div ref={place} id={props.id} className={props.className} />;
}

function Fields({ kind, ...props }: FieldsProps & { readonly kind: "card" | "cvc" }): ReactNode {
  const elements = useElements();
  const place = useRef<HTMLDivElement>(null);
  const made = useRef<FieldsElement | null>(null);
  const latest = useLatest(props);
  const options = JSON.stringify(props.options ?? {});
  useEffect(() => {
    if (elements === null || place.current === null) return undefined;
    const element = elements.create(kind, latest.current.options);
    element.on("ready", () => latest.current.onReady?.());
    element.on("change", (event) => latest.current.onChange?.(event));
    element.on("complete", (event) => latest.current.onComplete?.(event));
    element.on("focus", (event) => latest.current.onFocus?.(event));
    element.on("blur", (event) => latest.current.onBlur?.(event));
    element.on("error", (event) => latest.current.onError?.(event));
    element.on("submit", () => latest.current.onSubmit?.());
    element.mount(place.current);
    made.current = element;
    latest.current.onElement?.(element);
    return () => {
      made.current = null;
      latest.current.onElement?.(null);
      element.destroy();
    };
  }, [elements, kind, latest]);
  useEffect(() => {
    made.current?.update(JSON.parse(options) as FrameOptions);
  }, [options]);
  return <div ref={place} id={props.id} className={props.className} />;
}

/** The newest value, for listeners that are set once. */
function useLatest<T>(value: T): { readonly current: T } {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}
