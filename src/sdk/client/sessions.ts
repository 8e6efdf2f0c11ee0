// Client sessions of the vault for this page's payment: brought with the client secret, and anew before one is too old to be used.

import type { Api } from "./api";
import type { World } from "./world";

/** The sessions of one page. */
export class VaultSessions {
  private broughtMs: number | undefined;

  constructor(
    private readonly api: Api,
    private readonly world: World,
    /** Has all fields go on under a session. */
    private readonly set: (session: string) => void,
  ) {}

  /** A new session for the payment of this client secret. */
  async bring(secret: string): Promise<string> {
    const session = await this.api.vaultSession(secret);
    this.broughtMs = this.world.now();
    return session;
  }

  /** Before fields begin: a session that was brought long ago would not let their frame in. */
  async freshen(secret: string): Promise<void> {
    const { broughtMs } = this;
    if (broughtMs === undefined || this.world.now() - broughtMs < FRESH_MS) return;
    await this.renew(secret);
  }

  /** Another session at once, for another payment. */
  async renew(secret: string): Promise<void> {
    this.set(await this.bring(secret));
  }
}

/** Sessions live for a quarter of an hour. */
const FRESH_MS = 12 * 60_000;
