// Builds what vaultd serves: `dist/VERSION/` and `dist/inventory.json`. The same sources give the same bytes on every machine.
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

/** What each file is there for: the inventory of scripts that PCI DSS 6.4.3 asks for. */
const PURPOSES = {
  "strongroom.js": "Runs on the shop's page: makes the frames of the card fields and talks to them. It never sees a card.",
  "payments.js": "Runs on the shop's page when somebody pays: payment sheet and payments API. It never sees a card.",
  "fields.js": "Runs in the vault's frame: takes the card, seals it to the vault's intake key and posts it to the intake.",
  "fields.css": "Looks of the card fields in the vault's frame.",
};

// Files of earlier versions stay as they were published.
rmSync(FOLDER, { recursive: true, force: true });
mkdirSync(FOLDER, { recursive: true });

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
writeFileSync(join(OUT, "inventory.json"), `${JSON.stringify({ version: VERSION, files: written }, null, 2)}\n`);
for (const { path, bytes } of written) console.log(`${path}  ${bytes} bytes`);

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

/** Writes a file and says what the inventory tells of it. */
function keep(name, text) {
  const bytes = Buffer.from(text, "utf8");
  writeFileSync(join(FOLDER, name), bytes);
  const integrity = `sha384-${createHash("sha384").update(bytes).digest("base64")}`;
  return { path: `/sdk/${VERSION}/${name}`, integrity, bytes: bytes.length, purpose: PURPOSES[name] };
}
