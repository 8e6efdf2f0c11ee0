// Everything that is tried in Chromium, in one browser. Each file below is one subject.
import { after, before } from "node:test";
import { start, stop } from "./chromium/browser.mjs";
import { endLate, typeEarly } from "./chromium/ended.mjs";
import { lookLate, openEarly } from "./chromium/late.mjs";

before(async () => {
  await start();
  await openEarly();
  await typeEarly();
});
after(stop);

await import("./chromium/paying.mjs");
await import("./chromium/bank.mjs");
await import("./chromium/trouble.mjs");
await import("./chromium/hostile.mjs");
// The two minutes of their sessions are over soon; the payments themselves live for a quarter of an hour, which all tests may need on a slow machine.
endLate();
await import("./chromium/heap.mjs");
await import("./chromium/hands.mjs");
await import("./chromium/pictures.mjs");
await import("./chromium/sheet.mjs");
await import("./chromium/seed.mjs");
await import("./chromium/dashboard.mjs");
lookLate();
