// `@strongroom/react`: thin components over the elements of the page's own SDK. All that pays is in there.

export { StrongroomProvider, useElements, useStrongroom, type ProviderProps } from "./provider";
export { CardElement, CvcElement, PaymentElement, type FieldsProps, type PaymentProps } from "./elements";
export { loadStrongroom, type LoadOptions } from "../npm/index";
export type {
  Elements,
  ElementsOptions,
  FieldsElement,
  Strongroom,
  StrongroomFactory,
  StrongroomOptions,
} from "../npm/types";
export type { ConfirmParams, ConfirmResult, PaymentError, PaymentView, SheetElement, SheetEvents, SheetOptions } from "../shared/payments";
