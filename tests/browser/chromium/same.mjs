// What is on the page, held against a picture of before. Text is drawn with one font of Debian, and everything else is ours.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually, require, world } from "../world.mjs";

const { PNG } = require("pngjs");
const pixelmatch = require("pixelmatch");
const KEPT = fileURLToPath(new URL("../pictures/", import.meta.url));

/** The window that every picture is made in, where nothing moves. */
export const SIZE = { viewport: { width: 1280, height: 1000 }, deviceScaleFactor: 1, reducedMotion: "reduce" };

/** Holds a part of the page against the kept picture, once every frame of the vault has its size and nothing has the focus. */
export async function samePicture(page, name, part) {
  await page.mouse.move(0, 0);
  for (const frame of page.frames()) {
    await frame.evaluate(async () => {
      let held = document.activeElement;
      while (held?.shadowRoot?.activeElement) held = held.shadowRoot.activeElement;
      held?.blur();
      await document.fonts.ready;
    });
    if (frame.url().includes("/sdk/")) await eventually("the frame to have its size", () => frame.evaluate(isWhole));
  }
  await same(name, await part.screenshot({ animations: "disabled", caret: "hide" }));
}

/** Whether the frame is as high as the form in it. */
function isWhole() {
  const form = document.querySelector("form");
  return form !== null && Math.abs(innerHeight - form.getBoundingClientRect().height) <= 1;
}

/** Holds a picture against the kept one. A run that is asked to (`STRONGROOM_KEEP_PICTURES=1`) keeps it in its place. */
async function same(name, bytes) {
  const file = join(KEPT, `${name}.png`);
  if (process.env.STRONGROOM_KEEP_PICTURES === "1") {
    mkdirSync(KEPT, { recursive: true });
    writeFileSync(file, bytes);
    return;
  }
  assert.ok(existsSync(file), `there is no picture of before: ${name}`);
  const [before, now] = [PNG.sync.read(readFileSync(file)), PNG.sync.read(bytes)];
  writeFileSync(join(world.notes, `${name}.png`), bytes);
  assert.ok(Math.abs(before.height - now.height) <= HEIGHT_TOLERANCE && before.width === now.width, `${name} is now ${now.width} × ${now.height}, was ${before.width} × ${before.height}`);
  const [width, height] = [now.width, Math.min(before.height, now.height)];
  const other = new PNG({ width, height });
  const cut = (picture) => picture.data.subarray(0, width * height * 4);
  const differing = pixelmatch(cut(before), cut(now), other.data, width, height, { threshold: 0.2 });
  writeFileSync(join(world.notes, `${name}-differing.png`), PNG.sync.write(other));
  const share = differing / (width * height);
  assert.ok(share <= TOLERANCE, `${name} differs in ${(share * 100).toFixed(2)} % of its points; see target/browser`);
}

/** Fonts of another release of Debian move edges of letters: measured 0 here, and a missing field or mark is beyond 2 %. */
const TOLERANCE = 0.015;
const HEIGHT_TOLERANCE = 4;
