// The page after paying: asks the shop's server, which asks the orchestrator. What stands in this page's address proves nothing.

import { ask, saw } from "./panel.js";

const order = new URLSearchParams(location.search).get("order") ?? "";
const place = document.querySelector("#outcome");

function show(title, text, link) {
  const heading = document.createElement("h1");
  heading.textContent = title;
  const paragraph = document.createElement("p");
  paragraph.textContent = text;
  const anchor = document.createElement("a");
  [anchor.href, anchor.textContent] = link;
  anchor.className = "button";
  place.replaceChildren(heading, paragraph, anchor);
}

async function look() {
  const found = await ask(`/api/orders/${encodeURIComponent(order)}`);
  saw(`is told: ${found.status}`);
  place.dataset.status = found.status;
  if (found.status === "succeeded") {
    show("Thank you!", `${found.content} for ${found.amount}, paid with ${found.card}. Order ${order}.`, ["/account", "Your orders"]);
    document.querySelector(".count").textContent = "0";
  } else if (found.status === "processing" || found.status === "requires_customer_action") {
    setTimeout(look, 500);
  } else {
    show("Not paid", "The payment did not go through, and nothing was charged.", ["/checkout", "Try again"]);
  }
}

look().catch((fault) => show("Not paid", fault.message, ["/checkout", "Back to the checkout"]));
