// Chromium, started once; each test gets a context of its own: other cookies, another customer.
import test from "node:test";
import assert from "node:assert/strict";
import { PATIENCE_MS, require, world } from "../world.mjs";

const { chromium } = require("playwright-core");

let browser;

/** Starts it. Certificates of the world's one key are trusted, and every other one is judged as ever. */
export async function start() {
  browser = await chromium.launch({
    executablePath: world.browser,
    chromiumSandbox: false,
    args: [
      `--ignore-certificate-errors-spki-list=${world.certificate_pin.replace("sha256/", "")}`,
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--font-render-hinting=none",
    ],
  });
}

/** Stops it. */
export async function stop() {
  await browser?.close();
}

/** A context of its own: cookies and storage of nobody. */
export async function newContext(options = {}) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  return context;
}

/** A test with a page. What the page's policy forbade and what scripts threw fails it, unless it is told to bear that. */
export function visit(name, act, { bears = () => false, ...options } = {}) {
  test(name, async () => {
    const context = await newContext(options);
    const page = await context.newPage();
    const complaints = [];
    page.on("pageerror", (error) => complaints.push(`a script threw ${error.message}`));
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() === "error" && /Content Security Policy|integrity/i.test(text)) complaints.push(text);
    });
    try {
      await act(page, context);
    } catch (fault) {
      fault.stack += `\n  at ${page.url()}\n  complaints: ${complaints.join("\n  ")}\n  page: ${await shown(page)}`;
      throw fault;
    } finally {
      await context.close();
    }
    assert.deepEqual(complaints.filter((text) => !bears(text)), []);
  });
}

/** What stands on the page, for whoever reads that a test failed. */
async function shown(page) {
  try {
    return (await page.locator("main").innerText({ timeout: 1000 })).replaceAll("\n", " | ").slice(0, 800);
  } catch {
    return "(no page)";
  }
}
