// Small comforts. Everything works without this script.
"use strict";

// The choice of a merchant takes effect at once, so its button is not needed.
for (const field of document.querySelectorAll("select[data-send]")) {
  const button = field.form.querySelector("button[type=submit]");
  if (button) button.hidden = true;
  field.addEventListener("change", () => field.form.submit());
}

// Rules that were changed and not saved are not lost by a wrong click.
const rules = document.getElementById("rules");
if (rules && !rules.readOnly) {
  let isLeaving = false;
  rules.form.addEventListener("submit", () => { isLeaving = true; });
  addEventListener("beforeunload", (event) => {
    if (!isLeaving && rules.value !== rules.defaultValue) event.preventDefault();
  });
}
