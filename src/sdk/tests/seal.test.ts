// What is sealed opens with the vault's key, for its session alone, and its length tells nothing.
import { Aes256Gcm, CipherSuite, HkdfSha256 } from "@hpke/core";
import { DhkemX25519HkdfSha256 } from "@hpke/dhkem-x25519";
import { describe, expect, test } from "vitest";
import { isIntakeKey, seal, sealCvc, sessionFacts, type IntakeKey, type PlainCard } from "../fields/seal";

const SUITE = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const VAULT = "00000000-0000-4000-8000-000000000001";
const SESSION = "00000000-0000-4000-8000-000000000002";
const CARD: PlainCard = { number: "4242424242424242", exp_month: 12, exp_year: 2031, cvc: "123" };

const bytes = (text: string): ArrayBuffer => new Uint8Array(Buffer.from(text, "base64url")).buffer as ArrayBuffer;

async function pair(): Promise<{ key: IntakeKey; privateKey: CryptoKey }> {
  const { publicKey, privateKey } = await SUITE.kem.generateKeyPair();
  const public_key = Buffer.from(await SUITE.kem.serializePublicKey(publicKey)).toString("base64url");
  return { key: { vault_id: VAULT, key_id: "ik_7", public_key }, privateKey };
}

async function open(sealed: { enc: string; ciphertext: string }, recipientKey: CryptoKey, info: string): Promise<string> {
  const receiver = await SUITE.createRecipientContext({
    recipientKey,
    enc: bytes(sealed.enc),
    info: new TextEncoder().encode(info).buffer as ArrayBuffer,
  });
  return new TextDecoder().decode(await receiver.open(bytes(sealed.ciphertext)));
}

describe("sealing", () => {
  test("the vault's key opens it for this session alone", async () => {
    const { key, privateKey } = await pair();
    const sealed = await seal(CARD, key, SESSION);
    const info = `strongroom intake v1\n${VAULT}\nik_7\nsession ${SESSION}`;
    expect(JSON.parse(await open(sealed, privateKey, info))).toEqual(CARD);
    await expect(open(sealed, privateKey, info.replace(SESSION, VAULT))).rejects.toThrow();
    await expect(open(sealed, (await pair()).privateKey, info)).rejects.toThrow();
  });

  test("a CVC opens for its session and its card alone, and neither passes for the other", async () => {
    const { key, privateKey } = await pair();
    const [card, other] = [`pm_${"a".repeat(32)}`, `pm_${"b".repeat(32)}`];
    const sealed = await sealCvc("123", card, key, SESSION);
    const info = `strongroom intake cvc v1\n${VAULT}\nik_7\nsession ${SESSION}\npayment_method ${card}`;
    expect(JSON.parse(await open(sealed, privateKey, info))).toEqual({ cvc: "123" });
    const asCard = `strongroom intake v1\n${VAULT}\nik_7\nsession ${SESSION}`;
    for (const wrong of [info.replace(SESSION, VAULT), info.replace(card, other), asCard]) {
      await expect(open(sealed, privateKey, wrong)).rejects.toThrow();
    }
    await expect(open(await seal(CARD, key, SESSION), privateKey, info)).rejects.toThrow();
    expect(sealed.ciphertext.length).toBe((await sealCvc("1234", card, key, SESSION)).ciphertext.length);
  });

  test("every card has the same length, and no sealing is like another", async () => {
    const { key } = await pair();
    const long: PlainCard = { ...CARD, number: "6205500000000000004", holder_name: `${"É".repeat(47)}"x` };
    const [one, same, other] = [await seal(CARD, key, SESSION), await seal(CARD, key, SESSION), await seal(long, key, SESSION)];
    expect(one.ciphertext).not.toBe(same.ciphertext);
    expect(other.ciphertext.length).toBe(one.ciphertext.length);
    expect(Buffer.from(one.ciphertext, "base64url").length).toBe(512 + 16);
  });

  test("a session's first part is read, and what is none is not", () => {
    const claims = Buffer.from(JSON.stringify({ id: SESSION, origins: ["https://shop.example"] })).toString("base64url");
    expect(sessionFacts(`ss_${claims}.a.e30.b`)).toEqual({ id: SESSION, origins: ["https://shop.example"] });
    for (const text of ["", "ss_", "ss_.a", `${claims}.a`, "ss_e30.a", "ss_%%.a", `ss_${claims}`]) {
      expect(sessionFacts(text), text).toBeUndefined();
    }
  });

  test("only a key of this suite is sealed to", async () => {
    const { key } = await pair();
    const answered = { ...key, kem_id: 32, kdf_id: 1, aead_id: 2 };
    expect(isIntakeKey(answered)).toBe(true);
    for (const wrong of [null, {}, key, { ...answered, aead_id: 3 }, { ...answered, public_key: "x" }, { ...answered, key_id: "ik_1\nx" }]) {
      expect(isIntakeKey(wrong)).toBe(false);
    }
  });
});
