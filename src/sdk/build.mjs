// Builds what vaultd serves: `dist/VERSION/`, `dist/inventory.json`, and `dist/HASHES.json`, which holds the hashes of every version
// that was ever published. The same sources give the same bytes on every machine. A version that is released is never written anew
// with other bytes: pages have pinned it.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transformWithEsbuild } from "vite";

const HERE = dirname(fileURLToPath(import.meta.url));
const { version: VERSION } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));
/** Where to; `dist` beside this file, unless something only looks at what comes out. */
const OUT = process.env.STRONGROOM_OUT ?? join(HERE, "dist");
const FOLDER = join(OUT, VERSION);
/** Hashes by version and file, and whether the version is released; see README.md. */
const HASHES = committed("HASHES.json");

/** What each file is there for: the inventory of scripts that PCI DSS 6.4.3 asks for. */
const PURPOSES = {
  "strongroom.js": "Runs on the shop's page: makes the frames of the card fields and talks to them. It never sees a card.",
  "payments.js": "Runs on the shop's page when somebody pays: payment sheet and payments API. It never sees a card.",
  "fields.js": "Runs in the vault's frame: takes the card, seals it to the vault's intake key and posts it to the intake.",
  "fields.css": "Looks of the card fields in the vault's frame.",
};

const made = new Map();
const written = [];
written.push(await script("fields.js", "fields/index.ts"));
const { code: css } = await transformWithEsbuild(readFileSync(join(HERE, "fields/fields.css"), "utf8"), "fields.css", {
  loader: "css",
  minify: true,
  target: ["es2020", "chrome111", "firefox113", "safari16.2"],
  sourcemap: false,
});
written.push(keep("fields.css", css));
const payments = existsSync(join(HERE, "client/index.ts")) ? await script("payments.js", "client/index.ts") : undefined;
if (payments !== undefined) written.push(payments);
// Last, because it holds the hash of what it fetches later.
written.push(await script("strongroom.js", "loader/index.ts", { __PAYMENTS_INTEGRITY__: payments?.integrity ?? "" }));

written.sort((a, b) => (a.path < b.path ? -1 : 1));
const files = Object.fromEntries(written.map(({ path, integrity }) => [path.slice(`/sdk/${VERSION}/`.length), integrity]));
const released = HASHES[VERSION]?.released ?? false;
if (released && JSON.stringify(files) !== JSON.stringify(HASHES[VERSION].files)) {
  throw new Error(`${VERSION} is released and these sources make other files: give package.json the next version`);
}
// Nothing is touched before it is known that it may be; files of earlier versions stay as they were published.
rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });
for (const [name, bytes] of made) writeFileSync(join(FOLDER, name), bytes);
writeFileSync(join(OUT, "HASHES.json"), `${JSON.stringify({ ...HASHES, [VERSION]: { released, files } }, null, 2)}\n`);
const earlier = committed("inventory.json").files.filter(({ path }) => !path.startsWith(`/sdk/${VERSION}/`));
writeFileSync(join(OUT, "inventory.json"), `${JSON.stringify({ version: VERSION, files: [...earlier, ...written] }, null, 2)}\n`);
for (const { path, bytes } of written) console.log(`${path}  ${bytes} bytes`);
const lines = Object.entries(files).map(([name, hash]) => `${name} ${hash}\n`).join("");
console.log(`SDK ${VERSION}: sha384-${createHash("sha384").update(lines).digest("base64")}`);

/** What a list said before. */
function committed(name) {
  return JSON.parse(readFileSync(join(process.env.STRONGROOM_DIST ?? join(HERE, "dist"), name), "utf8"));
}

/** One self-contained script out of an entry and all that it imports. */
async function script(name, entry, define = {}) {
  const texts = { __VERSION__: VERSION, ...define };
  const [{ output }] = await build({
    root: HERE,
    configFile: false,
    logLevel: "error",
    define: Object.fromEntries(Object.entries(texts).map(([key, value]) => [key, JSON.stringify(value)])),
    esbuild: { legalComments: "none", charset: "utf8" },
    build: {
      write: false,
      target: "es2020",
      minify: "esbuild",
      modulePreload: false,
      lib: { entry: join(HERE, entry), formats: ["iife"], name: "StrongroomBundle", fileName: () => name },
    },
  });
  if (output.length !== 1) throw new Error(`${name} became ${output.length} files`);
  return keep(name, output[0].code);
}

/** Keeps a file until all are made, and says what the inventory tells of it. */
function keep(name, text) {
  const bytes = Buffer.from(text, "utf8");
  made.set(name, bytes);
  const integrity = `sha384-${createHash("sha384").update(bytes).digest("base64")}`;
  return { path: `/sdk/${VERSION}/${name}`, integrity, bytes: bytes.length, purpose: PURPOSES[name] };
}
