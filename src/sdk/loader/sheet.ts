// A payment sheet before its code is there: what the shop asks of it is kept, and done as soon as `payments.js` was fetched.

import { StrongroomError } from "../shared/failure";
import type { SheetElement, SheetEvents } from "../shared/payments";

/** A sheet whose code may still be on its way. */
export class LateSheet implements SheetElement {
  private place: string | HTMLElement | undefined;
  private made: SheetElement | undefined;
  private readonly failed = new Set<(event: SheetEvents["failed"]) => void>();

  constructor(private readonly coming: Promise<SheetElement>) {
    coming.then(
      (sheet) => {
        this.made = sheet;
        if (this.place !== undefined) sheet.mount(this.place);
      },
      (fault: unknown) => this.lost(fault),
    );
  }

  mount(target: string | HTMLElement): this {
    this.place = target;
    this.made?.mount(target);
    return this;
  }

  unmount(): void {
    this.place = undefined;
    this.made?.unmount();
  }

  destroy(): void {
    this.place = undefined;
    this.failed.clear();
    this.then((sheet) => sheet.destroy());
  }

  on<Name extends keyof SheetEvents>(name: Name, listener: (event: SheetEvents[Name]) => void): this {
    if (name === "failed") this.failed.add(listener as (event: SheetEvents["failed"]) => void);
    this.then((sheet) => sheet.on(name, listener));
    return this;
  }

  off<Name extends keyof SheetEvents>(name: Name, listener: (event: SheetEvents[Name]) => void): this {
    this.failed.delete(listener as (event: SheetEvents["failed"]) => void);
    this.then((sheet) => sheet.off(name, listener));
    return this;
  }

  private then(act: (sheet: SheetElement) => unknown): void {
    this.coming.then(act, () => undefined);
  }

  /** Without its code a sheet can show nothing: the shop is told, and its developer reads why. */
  private lost(fault: unknown): void {
    const known = fault instanceof StrongroomError;
    const message = fault instanceof Error ? fault.message : "the sheet did not come up";
    console.error(`Strongroom: ${message}`);
    const type = known && fault.code === "payments_unavailable" ? "unavailable" : "configuration";
    const error = { type, code: known ? fault.code : "invalid_request", message } as const;
    for (const listener of this.failed) listener({ error });
  }
}
