// The checkout: asks the shop's server for a payment, has the vault's fields or the payment sheet on the page, and goes on to the
// page of thanks. No line of it could read a card: that is typed in a frame of another origin.

import { ask, saw } from "./panel.js";

const chosen = new URLSearchParams(location.search);
const { vault, pay } = document.body.dataset;
const place = document.querySelector("#payment");
const button = document.querySelector("#pay");
const locale = chosen.get("locale") ?? "auto";
const appearance = { variables: { colorPrimary: "#1f4d3a", borderRadius: "8px", fontFamily: "system-ui, sans-serif" } };

/** What the customer has to know, above the fields. */
function tell(text, links = []) {
  const notice = document.querySelector("#notice");
  notice.replaceChildren(text);
  for (const link of links) {
    const anchor = document.createElement("a");
    anchor.href = anchor.textContent = link;
    anchor.target = "_blank";
    notice.append(document.createElement("br"), anchor);
  }
  notice.hidden = text === "";
}

/** A payment of the basket. The server goes on with the open one where that still takes a card. */
async function begin() {
  const seconds = Number(chosen.get("seconds"));
  const terms = await ask("/api/checkout", seconds > 0 ? { seconds } : {});
  saw(`has ${terms.payment_id} and its client secret`);
  return terms;
}

function thanks(terms) {
  location.assign(`/thanks?order=${encodeURIComponent(terms.order)}`);
}

function come(element) {
  place.setAttribute("aria-busy", "false");
  performance.mark("fields-mounted");
  saw(`${element} is there; what is typed in it stays there`);
}

/** Card fields alone: the page gets a token, and the shop's server confirms with it. */
async function withFields() {
  let terms = await begin();
  // The shop's server asks for the session, and may: it knows which payment its page is about.
  const session = async () => (await ask("/api/session", { order: terms.order })).client_secret;
  const sdk = window.Strongroom(terms.publishable_key, { vault, vaultSession: session });
  const card = sdk.elements({ locale, appearance }).create("card");
  place.replaceChildren();
  card.on("ready", () => come("the frame of the vault"));
  card.on("change", (change) => saw(`is told: ${change.brand}, ${change.complete ? "complete" : "not complete"}`));
  card.on("error", (failure) => tell(failure.message));
  card.on("submit", () => button.click());
  card.mount(place);
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (button.disabled) return;
    button.disabled = true;
    tell("");
    try {
      const stored = await card.tokenize({ storage: "short_term" });
      saw(`gets ${stored.payment_method_id}, ${stored.card.brand} ending in ${stored.card.last4}`);
      const { payment_method_id, cvc_token } = stored;
      const paid = await ask(`/api/orders/${terms.order}/pay`, { payment_method_id, cvc_token });
      if (paid.status === "requires_customer_action") return location.assign(paid.next_action.redirect_to_url);
      if (paid.status !== "failed") return thanks(terms);
      tell("The bank declined this card. Nothing was charged: try another one.");
      terms = await begin();
    } catch (fault) {
      tell(fault.message);
    }
    button.disabled = false;
  });
}

/** The payment sheet does everything until the payment succeeded, with the client secret alone. */
async function withSheet() {
  let terms = await begin();
  const sdk = window.Strongroom(terms.publishable_key, { vault, api: pay, clientSecret: terms.client_secret });
  const sheet = await sdk.sheet({
    locale,
    appearance,
    authentication: chosen.get("bank") === "redirect" ? "redirect" : "frame",
    // A declined payment is over: the customer goes on with a new one for the same basket.
    newPayment: async () => {
      chosen.delete("seconds");
      terms = await begin();
      return terms.client_secret;
    },
  });
  place.replaceChildren();
  sheet.on("ready", () => come("the payment sheet"));
  sheet.on("change", ({ choice }) => saw(`is told: ${choice === "saved" ? "a saved card" : "a new card"} is chosen`));
  sheet.on("failed", ({ error }) => saw(`is told: ${error.message}`));
  sheet.on("paid", (payment) => {
    saw(`is told: ${payment.payment_id} ${payment.status}`);
    thanks(terms);
  });
  sheet.mount(place);
}

/** The contact goes to the shop, which may know it. */
document.querySelector("#contact").addEventListener("change", (event) => {
  const { name, email } = Object.fromEntries(new FormData(event.currentTarget));
  ask("/api/contact", { name, email }).catch((fault) => tell(fault.message));
});

for (const [name, value] of chosen) {
  const select = document.querySelector(`.options select[name="${CSS.escape(name)}"]`);
  if (select !== null) select.value = value;
}

if (window.Strongroom === undefined) {
  place.replaceChildren();
  tell(
    "This browser does not trust the demo's certificates yet. Open each address once, accept it, and load this page again:",
    [`${vault}/sdk/inventory.json`, `${pay}/health`, `${document.body.dataset.psp}/ledger`],
  );
} else {
  (chosen.get("with") === "fields" ? withFields() : withSheet()).catch((fault) => {
    place.replaceChildren();
    tell(fault.message);
  });
}
