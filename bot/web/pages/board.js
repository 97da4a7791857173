// The board: loads the incidents, draws them, and loads them again after each event.

import { card, make, tick, whole } from "./draw.js";
import { ask, isOutdated } from "./key.js";
import { follow } from "./live.js";
import { listen, say, showEvent, showLine } from "./talk.js";

const PAUSE_MS = 250;  // between two loads, so that many events do not cause as many requests
const RANK = { critical: 0, error: 1, warning: 2, info: 3 };
const at = (id) => document.getElementById(id);

const cards = new Map();  // id -> {element, drawn}
const act = document.body.dataset.console === "on" ? press : null;
let olderLimit = 20;
let reading = false;
let wanted = false;
let lastRead = null;
let connected = true;
let failing = "";  // the error of the last load
let drawnDetail = "";
let drawnOnce = false;
let soon = 0;

/** Load and draw. Calls in the meantime cause one more load afterwards. */
async function refresh() {
  wanted = true;
  if (reading) return;
  reading = true;
  while (wanted) {
    wanted = false;
    await readAll();
    await new Promise((rested) => setTimeout(rested, PAUSE_MS));
  }
  reading = false;
}

async function readAll() {
  try {
    const shown = shownIncident();
    const [open, taken, done, detail] = await Promise.all([
      read("/api/incidents?status=open&limit=200"),
      read("/api/incidents?status=acknowledged&limit=200"),
      read(`/api/incidents?status=resolved&limit=${olderLimit}`),
      shown ? read(`/api/incidents/${shown}${markIn(location.search)}`) : null,
    ]);
    lastRead = new Date();
    drawList(open, taken, done);
    if (shown === shownIncident()) drawDetail(detail);
    loadAgainWhileSending(detail);
    failing = "";
  } catch (error) {
    failing = error.message;
  }
  showTrouble();
}

async function read(address) {
  let answer;
  try {
    answer = await ask(address);
  } catch {
    throw new Error("The bot does not answer.");
  }
  if (answer.ok) return answer.json();
  const body = await answer.json().catch(() => null);
  if (answer.status === 404) return { missing: body?.error.message ?? "This incident does not exist." };
  throw new Error(body?.error.message ?? `The bot answered ${answer.status}.`);
}

function drawList(open, taken, done) {
  const waiting = open.incidents.sort(byWorst);
  const held = taken.incidents.sort(byWorst);
  place(at("open"), [...waiting, ...held]);
  place(at("resolved"), done.incidents);
  drawnOnce = true;
  at("done").hidden = done.incidents.length === 0;
  at("older").hidden = done.next === null || olderLimit >= 200;
  at("more-open").hidden = open.next === null && taken.next === null;
  at("more-open").textContent = "Only the newest 200 of each state are shown. The API has the rest.";
  drawQuiet(waiting.length + held.length === 0, done.incidents.length > 0);
  const many = (list, page) => `${list.length}${page.next === null ? "" : "+"}`;
  at("summary").replaceChildren(make("b", {}, many(waiting, open)), waiting.length === 1 ? " needs someone · " : " need someone · ", make("b", {}, many(held, taken)), " acknowledged");
  document.title = waiting.length ? `(${many(waiting, open)}) Vakhta` : "Vakhta";
}

function drawQuiet(nothing, hadSome) {
  at("quiet").hidden = !nothing;
  at("quiet").className = "quiet big";
  const next = hadSome ? "New incidents appear here without a reload." : "Incidents appear here without a reload when the first alert arrives.";
  if (nothing) at("quiet").replaceChildren(make("strong", {}, "No open incidents"), next);
}

function byWorst(one, other) {
  return RANK[one.severity] - RANK[other.severity] || other.id - one.id;
}

/** Put the cards in this order. Unchanged cards are not touched, so they keep the focus. */
function place(box, incidents) {
  const elements = incidents.map(drawCard);  // draw all first: a changed card replaces its old one
  let next = box.firstElementChild;
  for (const element of elements) {
    if (element === next) next = next.nextElementSibling;
    else box.insertBefore(element, next);
  }
  while (next) {
    const gone = next;
    next = next.nextElementSibling;
    gone.remove();
  }
}

function drawCard(incident) {
  const state = JSON.stringify(incident);
  const known = cards.get(incident.id);
  if (known?.drawn === state) return known.element;
  const element = card(incident, act);
  if (!known && drawnOnce) element.classList.add("new");
  if (known) swap(known.element, element);
  cards.set(incident.id, { element, drawn: state });
  return element;
}

function swap(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(fresh);
  if (!focused) return;
  const same = focused.dataset.words ? fresh.querySelector(`[data-words="${focused.dataset.words}"]`) : null;
  (same ?? fresh.querySelector("a")).focus();
}

function drawDetail(incident) {
  at("list").hidden = incident !== null;
  at("detail").hidden = incident === null;
  const state = JSON.stringify(incident);
  if (incident === null || state === drawnDetail) return;
  drawnDetail = state;
  at("detail").dataset.missing = incident.missing ? "yes" : ""; // then typed commands have no incident
  const focused = at("detail").contains(document.activeElement) ? document.activeElement.dataset.words : null;
  if (incident.missing) {
    at("detail").replaceChildren(make("a", { class: "back", href: "/" }, "← All incidents"), make("p", { class: "quiet big" }, incident.missing));
    return;
  }
  at("detail").replaceChildren(...whole(incident, act));
  if (focused) at("detail").querySelector("button, a")?.focus();
}

/** The end of a delivery is not an event of the timeline, so load again while one is waiting. */
function loadAgainWhileSending(incident) {
  clearTimeout(soon);
  const waiting = incident?.deliveries?.some((row) => row.state === "owed" || row.state === "leased");
  if (waiting) soon = setTimeout(refresh, 2000);
}

async function press(words, button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  await say(words);
  button.removeAttribute("aria-disabled");
  refresh();
}

function showTrouble() {
  const since = lastRead ? ` The data shown is from ${lastRead.toLocaleTimeString([], { hour12: false })}.` : "";
  const text = failing || (connected ? "" : "The live connection is lost. The board reloads every 5 s.");
  const old = isOutdated() ? "The bot has been updated since this page was loaded. Reload it." : "";
  at("trouble").hidden = text === "" && old === "";
  at("trouble").textContent = text ? `${text}${since} Trying again…` : old;
}

function showState(state) {
  connected = state === "live";
  at("live").dataset.state = state;
  at("live").textContent = connected ? "live" : "connection lost";
  showTrouble();
}

function shownIncident() {
  const found = location.pathname.match(/^\/incidents\/(\d{1,18})$/);
  return found ? Number(found[1]) : null;
}

/** The mark in a link from a chat: it tells apart incidents that have the same number after a restore. */
function markIn(search) {
  const mark = new URLSearchParams(search).get("mark");
  return mark ? `?mark=${encodeURIComponent(mark)}` : "";
}

function go(path) {
  history.pushState(null, "", path);
  arrive();
}

function arrive() {
  const shown = shownIncident();
  drawnDetail = "";
  at("detail").replaceChildren();
  at("list").hidden = shown !== null;
  at("detail").hidden = shown === null;
  if (at("words")) at("words").placeholder = shown ? "ack, resolve, note …, help" : "ack 42, note 42 …, help";
  window.scrollTo(0, 0);
  at("incidents").focus({ preventScroll: true });
  refresh();
}

document.addEventListener("click", (click) => {
  const link = click.target.closest("a[href]");
  if (!link || link.target || click.metaKey || click.ctrlKey || click.shiftKey || click.button !== 0) return;
  const path = new URL(link.href).pathname;
  if (new URL(link.href).origin !== location.origin || !(path === "/" || path.startsWith("/incidents/")) || link.hash) return;
  click.preventDefault();
  go(path);
});

document.addEventListener("keydown", (key) => {
  const typing = key.target.closest("input, textarea");
  if (key.key === "/" && !typing && at("words")) {
    key.preventDefault();
    at("words").focus();
  } else if (key.key === "Escape" && typing) {
    typing.blur();
  } else if (key.key === "Escape" && shownIncident()) {
    go("/");
  }
});

at("unfold").addEventListener("click", () => {
  const open = at("console").classList.toggle("unfolded");
  at("unfold").setAttribute("aria-expanded", String(open));
  at("unfold").textContent = open ? "Show last" : "Show all";
  at("log").scrollTop = at("log").scrollHeight;
});
at("older").addEventListener("click", () => {
  olderLimit = Math.min(200, olderLimit + 40);
  refresh();
});
window.addEventListener("popstate", arrive);
if (at("say")) listen(at("say"), () => (at("detail").dataset.missing ? null : shownIncident()), refresh);
setInterval(tick, 15000);
setInterval(() => { if (!connected || failing) refresh(); }, 5000);
follow({ onEvent: showEvent, onLine: showLine, onChange: refresh, onState: showState });
arrive();
