// axe-core, which finds what people with other senses or hands would stumble over.
import assert from "node:assert/strict";
import { textOf } from "../world.mjs";

/** Holds a frame against axe's rules for WCAG 2.2, levels A and AA, and its good practices. */
export async function axe(frame) {
  await frame.evaluate(textOf("axe-core/axe.min.js"));
  const found = await frame.evaluate(async (pageRules) => {
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    // A frame is judged by itself: what belongs to whole pages is the outer page's.
    const whole = window.top === window;
    const rules = whole ? {} : Object.fromEntries(pageRules.map((rule) => [rule, { enabled: false }]));
    const result = await window.axe.run(document, { runOnly: tags, rules, iframes: false });
    const violations = result.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
    return { violations, passes: result.passes.length };
  }, PAGE_RULES);
  assert.deepEqual(found.violations, [], `axe at ${frame.url()}`);
  assert.ok(found.passes > 5, "axe looked at something");
}

/** Rules about a whole page's landmarks and headings. */
const PAGE_RULES = ["region", "landmark-one-main", "page-has-heading-one", "bypass"];
