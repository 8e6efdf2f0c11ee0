// Seals a card, or a CVC by itself, to the vault's intake key (HPKE, RFC 9180), so that what ends TLS in front of the vault and only
// reads sees neither.

import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { DhkemX25519HkdfSha256 } from "@hpke/dhkem-x25519";
import { isRecord } from "../shared/protocol";

/** The public half of the intake key, as `GET /v1/intake-key` answers it. */
export interface IntakeKey {
  readonly vault_id: string;
  readonly key_id: string;
  readonly public_key: string;
}

/** A card or a CVC that only the vault opens, once, and only from this session. */
export interface Sealed {
  readonly key_id: string;
  readonly enc: string;
  readonly ciphertext: string;
}

/** A card as the vault reads it. */
export interface PlainCard {
  readonly number: string;
  readonly exp_month: number;
  readonly exp_year: number;
  readonly cvc: string;
  readonly holder_name?: string;
}

/** Seals a card for a session. */
export function seal(card: PlainCard, key: IntakeKey, sessionId: string): Promise<Sealed> {
  return sealed(card, key, ["strongroom intake v1", key.vault_id, key.key_id, `session ${sessionId}`]);
}

/** Seals the CVC of a stored card for a session; it opens for this card alone, and never as a card. */
export function sealCvc(cvc: string, paymentMethod: string, key: IntakeKey, sessionId: string): Promise<Sealed> {
  const about = ["strongroom intake cvc v1", key.vault_id, key.key_id, `session ${sessionId}`, `payment_method ${paymentMethod}`];
  return sealed({ cvc }, key, about);
}

/** Seals; the lines say what it is good for and for whom. */
async function sealed(what: PlainCard | { readonly cvc: string }, key: IntakeKey, about: readonly string[]): Promise<Sealed> {
  const plain = padded(what);
  try {
    const recipientPublicKey = await SUITE.kem.deserializePublicKey(bufferOf(fromBase64url(key.public_key)));
    const info = new TextEncoder().encode(about.join("\n"));
    const sender = await SUITE.createSenderContext({ recipientPublicKey, info: bufferOf(info) });
    const ciphertext = await sender.seal(bufferOf(plain));
    return { key_id: key.key_id, enc: base64url(new Uint8Array(sender.enc)), ciphertext: base64url(new Uint8Array(ciphertext)) };
  } finally {
    plain.fill(0);
  }
}

/** Whether an answer is an intake key of the suite that is spoken here. */
export function isIntakeKey(value: unknown): value is IntakeKey {
  if (!isRecord(value)) return false;
  const { vault_id, key_id, public_key, kem_id, kdf_id, aead_id } = value;
  return (
    typeof vault_id === "string" &&
    /^[0-9a-f-]{36}$/.test(vault_id) &&
    typeof key_id === "string" &&
    /^ik_[0-9]{1,10}$/.test(key_id) &&
    typeof public_key === "string" &&
    /^[A-Za-z0-9_-]{43}$/.test(public_key) &&
    kem_id === 0x20 &&
    kdf_id === 1 &&
    aead_id === 2
  );
}

/** What a session says of itself, in the first part of its text. */
export interface SessionFacts {
  readonly id: string;
  /** Origins of the pages that it was made for. */
  readonly origins: readonly string[];
}

/** Reads a session's first part; the vault alone can tell whether it is authentic. */
export function sessionFacts(session: string): SessionFacts | undefined {
  const claims = /^ss_([A-Za-z0-9_-]+)\./.exec(session)?.[1];
  if (claims === undefined) return undefined;
  try {
    const read: unknown = JSON.parse(new TextDecoder().decode(fromBase64url(claims)));
    if (!isRecord(read)) return undefined;
    const { id, origins } = read;
    const named = typeof id === "string" && /^[0-9a-f-]{36}$/.test(id);
    const pages = Array.isArray(origins) && origins.every((origin) => typeof origin === "string");
    return named && pages ? { id, origins } : undefined;
  } catch {
    return undefined;
  }
}

/** JSON, filled up so that the ciphertext's length tells nothing. */
function padded(what: object): Uint8Array {
  const out = new Uint8Array(PLAINTEXT_BYTES).fill(0x20);
  const json = new TextEncoder().encode(JSON.stringify(what));
  out.set(json);
  json.fill(0);
  return out;
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

function fromBase64url(text: string): Uint8Array {
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
}

const SUITE = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** The length that everything sealed has, in bytes. */
const PLAINTEXT_BYTES = 512;
