// The memory of the shop's page, searched for the card that is being typed in the vault's frame.
import assert from "node:assert/strict";
import { visit } from "./browser.mjs";
import { cards, fields, pageHoldsNo, toCheckout, type } from "./shop.mjs";

visit("a_card_that_is_typed_is_nowhere_in_the_memory_of_the_shops_page", async (page, context) => {
  await toCheckout(page, "?with=fields");
  await type(page, cards.mastercard);
  // The list of test cards is the shop's own text.
  await pageHoldsNo(page, cards.mastercard);
  const dresses = ["5555555555554444", "5555 5555 5555 4444"];
  const session = await context.newCDPSession(page);
  const inPage = await heap(session);
  for (const dress of dresses) assert.equal(inPage.includes(dress), false, "the shop's page holds the number");
  // A page that had it would be found out.
  await page.evaluate(([one]) => {
    window.stolen = [...one].map((sign) => `${sign}`).join("");
  }, dresses);
  assert.ok((await heap(session)).includes(dresses[0]), "the search finds what is there");
  await fields(page).locator("#sr-cvc").press("Enter");
  await page.waitForURL(/\/thanks/);
});

/** A snapshot of the heap of a process, as text. */
async function heap(session) {
  const chunks = [];
  session.on("HeapProfiler.addHeapSnapshotChunk", ({ chunk }) => chunks.push(chunk));
  await session.send("HeapProfiler.enable");
  await session.send("HeapProfiler.collectGarbage");
  await session.send("HeapProfiler.takeHeapSnapshot", { reportProgress: false });
  session.removeAllListeners("HeapProfiler.addHeapSnapshotChunk");
  return chunks.join("");
}
