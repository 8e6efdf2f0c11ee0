// The panel at the side: asks the shop's server every second what each process saw, and shows it.

/** Asks the shop's server; a refusal is an Error with its words. */
export async function ask(path, body) {
  const request = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  const answer = await fetch(path, request);
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error?.message ?? "The shop's server refused.");
  return value;
}

/** Notes what this page itself came to know. */
export function saw(text) {
  const notes = JSON.parse(sessionStorage.getItem("saw") ?? "[]");
  notes.push({ at: Date.now(), text });
  sessionStorage.setItem("saw", JSON.stringify(notes.slice(-SHOWN)));
  showPage();
}

function showPage() {
  const notes = JSON.parse(sessionStorage.getItem("saw") ?? "[]");
  list("saw-page", notes.map((note) => [note.at, note.text]));
}

function show(seen) {
  list("saw-shop", seen.shop.map((heard) => [heard.at, heard.line.replace(/^(\w+) /, "$1 "), shortened(heard.body)]));
  list("saw-orchestrator", seen.orchestrator.flatMap((payment) => linesOf(payment, seen.vault)));
  list("saw-vault", seen.vault.map((entry) => [Date.parse(entry.at), `#${entry.index} ${actOf(entry)}`, aboutOf(entry), kindOf(entry)]));
  list("saw-psp", seen.psp.map((line) => [line.created * 1000, `${line.kind} ${moneyOf(line)}, card ending in ${line.last4}`, line.payment_id ?? ""]));
}

/** A payment, and each release of a card to the orchestrator that the vault's log has for it. */
function linesOf(payment, entries) {
  const token = payment.payment_method_id ?? "";
  const lines = [[0, `${payment.status.replaceAll("_", " ")}, ${moneyOf(payment)}`, `${payment.payment_id} ${token}`]];
  for (const entry of entries) {
    if (entry.act === "reveal" && entry.outcome === "allowed" && entry.note.includes(payment.payment_id)) {
      lines.push([Date.parse(entry.at), "held the card for one call", `entry #${entry.index} of the vault's log`, "card"]);
    }
  }
  return lines;
}

function actOf(entry) {
  const words = { tokenize: "a card came in", reveal: "a card went out, once", retain: "a card is kept", delete: "a card was shredded" };
  const said = entry.outcome === "allowed" ? (words[entry.act] ?? entry.act) : `${entry.act} ${entry.outcome}`;
  return said;
}

function kindOf(entry) {
  return entry.act === "tokenize" || entry.act === "reveal" ? "card" : "";
}

function aboutOf(entry) {
  const who = (entry.who ?? "").replace("spiffe://strongroom/", "").replace(/^session:.*/, "a browser's session");
  return [entry.subject ?? "", who === "" ? "" : `for ${who}`].join(" ").trim();
}

function moneyOf(line) {
  return `${(line.amount / 100).toFixed(2)} ${line.currency.toUpperCase()}`;
}

/** Long ids in a body are shown by their beginnings; what the server got is what it got. */
function shortened(body) {
  return body.length > 160 ? `${body.slice(0, 160)}…` : body;
}

/** Puts lines into a section, newest first: [when, what, about, kind]. Nothing is touched when nothing changed. */
function list(id, lines) {
  const place = document.querySelector(`#${id} ol`);
  const text = JSON.stringify(lines);
  if (place === null || place.dataset.shown === text) return;
  place.dataset.shown = text;
  place.replaceChildren(...lines.slice(-SHOWN).reverse().map(item));
}

function item([at, what, about = "", kind = ""]) {
  const line = document.createElement("li");
  if (kind !== "") line.className = kind;
  const time = document.createElement("time");
  time.textContent = at > 0 ? new Date(at).toTimeString().slice(0, 8) : "";
  const said = document.createElement("span");
  said.textContent = what;
  line.append(time, said);
  if (about !== "") {
    const code = document.createElement("code");
    code.textContent = about;
    line.append(code);
  }
  return line;
}

async function refresh() {
  if (document.visibilityState === "visible") {
    try {
      show(await ask("/api/panel"));
    } catch {
      // The demo was stopped, or is busy; the next turn tells.
    }
  }
  setTimeout(refresh, EVERY_MS);
}

const SHOWN = 8;
const EVERY_MS = 1000;

showPage();
refresh();
