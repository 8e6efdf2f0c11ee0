// Seals cards and CVCs as a browser would, with an implementation of HPKE that is not the vault's (npm: @hpke/core, @hpke/dhkem-x25519).
// Standard input: [{"public_key": base64url, "info": text, "plaintext": text}, ...]; standard output: [{"enc", "ciphertext"}, ...].
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// The packages lie where `cargo xtask test` installs them.
const require = createRequire(process.argv[2] + "/");
const { Aes256Gcm, CipherSuite, HkdfSha256 } = require("@hpke/core");
const { DhkemX25519HkdfSha256 } = require("@hpke/dhkem-x25519");

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const text = (bytes) => Buffer.from(bytes).toString("base64url");
const sealed = [];
for (const { public_key, info, plaintext } of JSON.parse(readFileSync(0, "utf8"))) {
  const recipientPublicKey = await suite.kem.deserializePublicKey(new Uint8Array(Buffer.from(public_key, "base64url")).buffer);
  const sender = await suite.createSenderContext({ recipientPublicKey, info: new TextEncoder().encode(info) });
  const ciphertext = await sender.seal(new TextEncoder().encode(plaintext.padEnd(512, " ")));
  sealed.push({ enc: text(sender.enc), ciphertext: text(ciphertext) });
}
process.stdout.write(JSON.stringify(sealed));
