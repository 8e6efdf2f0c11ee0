// Holds the committed `dist/` against the sources, byte for byte, and against the size budgets. `STRONGROOM_DIST` names the committed one.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const HERE = dirname(fileURLToPath(import.meta.url));
const COMMITTED = process.env.STRONGROOM_DIST ?? join(HERE, "dist");

/** The most bytes that a file may have, compressed: what a page pays for it. */
const BUDGETS = {
  "strongroom.js": 10_000,
  "fields.js": 40_000,
  "payments.js": 30_000,
};

const list = (folder) => readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1))
  .sort();

const faults = [];
const { version: VERSION } = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));
const committed = list(COMMITTED);
process.env.STRONGROOM_DIST = COMMITTED;
process.env.STRONGROOM_OUT = join(HERE, "built");
await import("./build.mjs");
const built = list(process.env.STRONGROOM_OUT);
// Files of earlier versions stay as they were published.
const current = committed.filter((name) => name.startsWith(`${VERSION}/`) || ["inventory.json", "HASHES.json"].includes(name));
if (current.join() !== built.join()) faults.push(`dist/ holds ${current.join(", ")}; the sources make ${built.join(", ")}`);
for (const name of built) {
  const bytes = readFileSync(join(process.env.STRONGROOM_OUT, name));
  if (current.includes(name) && !bytes.equals(readFileSync(join(COMMITTED, name)))) {
    faults.push(`dist/${name} is not what the sources make: run \`npm run build\` in src/sdk and commit what it writes`);
  }
  const budget = BUDGETS[name.slice(VERSION.length + 1)];
  if (budget === undefined) continue;
  const compressed = gzipSync(bytes, { level: 9 }).length;
  console.log(`${name}: ${compressed} bytes compressed, ${budget} at most`);
  if (compressed > budget) faults.push(`${name} has ${compressed} bytes compressed, more than ${budget}`);
}
for (const fault of faults) console.error(fault);
process.exit(faults.length === 0 ? 0 : 1);
