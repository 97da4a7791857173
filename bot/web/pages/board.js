// The board: loads the incidents, draws them, and loads them again after each event.

import { card, heading, make, plan, tick } from "./draw.js";
import { whole } from "./incident.js";
import { ask, isOutdated } from "./key.js";
import { follow } from "./live.js";
import { counted, store, unreadable } from "./stores.js";
import { closeAnswer, listen, say, showEvent, showLine } from "./talk.js";

const PAUSE_MS = 250;  // between two loads, so that many events do not cause as many requests
const PAUSE_SHARE = 3;  // and at least so many times what the last load took, so that a busy bot is asked less often
const PLANS_MS = 15000;  // a plan that belongs to no incident has no event
const STORES_MS = 14000;  // backups are looked at every few minutes, and a storm of events says nothing of them
const PAGE = 100;  // incidents that are shown before somebody asks for more
const MOST = 200;  // incidents in one answer
const NEW_MS = 60000;
const SEVERITIES = ["critical", "error", "warning", "info"];
const at = (id) => document.getElementById(id);

const cards = new Map();  // id -> {element, drawn}
const plans = at("plans");  // moves between the list and the page of an incident
const headings = new Map();  // severity -> {element, drawn}
const act = document.body.dataset.console === "on" ? press : null;
let openLimit = PAGE;
let olderLimit = 20;
let reading = false;
let wanted = false;
let lastRead = null;
let connected = true;
let failing = "";  // the error of the last load
let drawnDetail = "";
let drawnPlans = "";
let drawnStores = "";
let storesRead = 0;
let storesShown = "";  // since when the stores that are shown are known
let drawnOnce = false;
let soon = 0;

/** Load and draw. Calls in the meantime cause one more load afterwards. */
async function refresh() {
  wanted = true;
  if (reading) return;
  reading = true;
  while (wanted) {
    wanted = false;
    const began = Date.now();
    await readAll();
    const pause = Math.max(PAUSE_MS, PAUSE_SHARE * (Date.now() - began));
    await new Promise((rested) => setTimeout(rested, pause));
  }
  reading = false;
}

async function readAll() {
  try {
    const shown = shownIncident();
    const [open, done, waiting, backups, detail] = await Promise.all([
      readOpen(),
      read(`/api/incidents?status=resolved&limit=${olderLimit}`),
      read("/api/plans"),
      readStores(),
      shown ? read(`/api/incidents/${shown}${markIn(location.search)}`) : null,
    ]);
    lastRead = new Date();
    drawList(open, done);
    drawPlans(waiting.plans);
    if (backups) drawStores(backups);
    if (shown === shownIncident()) drawDetail(detail);
    loadAgainWhileSending(detail);
    failing = "";
  } catch (error) {
    failing = error.message;
  }
  showTrouble();
}

/** As many of the most severe as are shown, page by page, and the counts of all. */
async function readOpen() {
  const limit = (have) => Math.min(MOST, openLimit - have);
  const first = await read(`/api/incidents?sort=severity&counts=true&limit=${limit(0)}`);
  const found = new Map(first.incidents.map((one) => [one.id, one]));
  let after = first.after;
  while (after && found.size < openLimit) {
    const page = await read(`/api/incidents?sort=severity&limit=${limit(found.size)}&after=${after}`);
    for (const one of page.incidents) found.set(one.id, one);
    after = page.after;
  }
  return { incidents: [...found.values()], counts: first.counts };
}

/** Null: they were read a moment ago. Stores that cannot be read hide no incident: `error` is shown with the stores. */
async function readStores() {
  if (Date.now() - storesRead < STORES_MS) return null;
  try {
    return await read("/api/stores");
  } catch (error) {
    return { error: error.message };
  }
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

function drawList({ incidents, counts }, done) {
  const sum = (of) => Object.values(of).reduce((one, other) => one + other, 0);
  const [open, taken] = [sum(counts.open), sum(counts.acknowledged)];
  forgetAllBut([...incidents, ...done.incidents]);
  place(at("open"), SEVERITIES.flatMap((severity) => group(severity, incidents, counts)));
  place(at("resolved"), done.incidents.map(drawCard));
  drawnOnce = true;
  at("done").hidden = done.incidents.length === 0;
  at("older").hidden = done.next === null || olderLimit >= MOST;
  at("more-open").hidden = incidents.length >= open + taken;
  at("shown-open").textContent = `The ${incidents.length} most severe of ${open + taken} are shown.`;
  drawQuiet(open + taken === 0, done.incidents.length > 0);
  drawSummary(counts, open, taken);
  document.title = open ? `(${open}) Vakhta` : "Vakhta";
}

function group(severity, incidents, counts) {
  const shown = incidents.filter((one) => one.severity === severity);
  if (shown.length === 0) return [];
  return [drawHeading(severity, counts.open[severity], counts.acknowledged[severity]), ...shown.map(drawCard)];
}

/** Exact, also of those that are not shown: how bad it is, and how much of it nobody has. */
function drawSummary(counts, open, taken) {
  const each = SEVERITIES.map((severity) => [severity, counts.open[severity] + counts.acknowledged[severity]]).filter(([, count]) => count);
  const words = each.flatMap(([severity, count], index) => [index ? ", " : "", make("span", { class: "tally", "data-severity": severity }, make("b", {}, String(count)), ` ${severity}`)]);
  const held = taken ? ` · ${open ? taken : "all"} acknowledged` : "";
  at("summary").replaceChildren(...words, held);
}

/** On the page of an incident: its own. Several are closed, so that they do not hide how bad it is. */
function drawPlans(found) {
  const shown = shownIncident();
  const here = shown ? found.filter((one) => one.incident_id === shown) : found;
  const state = JSON.stringify([shown, here]);
  if (state === drawnPlans) return;
  drawnPlans = state;
  const focused = plans.contains(document.activeElement) ? same(document.activeElement) : null;
  const opened = new Map([...plans.querySelectorAll("details")].map((one) => [one.firstElementChild.dataset.plan, one.open]));
  const elements = here.map((one) => plan(one, act, opened.get(one.id) ?? here.length === 1));
  plans.hidden = here.length === 0;
  const name = make("h2", {}, here.length === 1 ? "1 plan waits" : `${here.length} plans wait`);
  plans.replaceChildren(...(here.length ? [name, make("div", { class: "cards" }, ...elements)] : []));
  if (focused) (plans.querySelector(focused) ?? at("incidents")).focus();
}

/** Closed until somebody opens it: a store that is red has opened an incident already. */
function drawStores(found) {
  storesRead = Date.now();
  if (!found.error) storesShown = new Date().toLocaleTimeString([], { hour12: false });
  const state = JSON.stringify(found);
  if (state === drawnStores) return;
  drawnStores = state;
  const since = storesShown ? ` What is shown here is from ${storesShown}.` : "";
  at("stores-trouble").hidden = !found.error;
  at("stores-trouble").textContent = found.error ? `The backups cannot be read: ${found.error}${since}` : "";
  if (found.error) {
    at("stores").hidden = false;
    at("stores-counted").replaceChildren(unreadable());
  } else {
    drawReadStores(found.stores);
  }
}

function drawReadStores(found) {
  const focused = at("stores-shown").contains(document.activeElement) ? same(document.activeElement) : null;
  const opened = new Set([...at("stores").querySelectorAll("details[open][data-store]")].map((one) => one.dataset.store));
  at("stores").hidden = found.length === 0;
  at("stores-counted").replaceChildren(...counted(found));
  at("stores-shown").replaceChildren(...found.map((one) => store(one, opened.has(one.name))));
  if (focused) at("stores").querySelector(focused)?.focus();
}

function drawQuiet(nothing, hadSome) {
  at("quiet").hidden = !nothing;
  at("quiet").className = "quiet big";
  const next = hadSome ? "New incidents appear here without a reload." : "Incidents appear here without a reload when the first alert arrives.";
  if (nothing) at("quiet").replaceChildren(make("strong", {}, "No open incidents"), next);
}

/** Put the elements in this order. Those that are there already are not touched, so they keep the focus. */
function place(box, elements) {
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
  if (!known && drawnOnce && Date.now() - Date.parse(incident.opened_at) < NEW_MS) element.classList.add("new");
  if (known) swap(known.element, element);
  cards.set(incident.id, { element, drawn: state });
  return element;
}

function drawHeading(severity, open, taken) {
  const state = `${open} ${taken}`;
  const known = headings.get(severity);
  if (known?.drawn === state) return known.element;
  const element = heading(severity, open, taken);
  known?.element.replaceWith(element);
  headings.set(severity, { element, drawn: state });
  return element;
}

function forgetAllBut(incidents) {
  const kept = new Set(incidents.map((one) => one.id));
  for (const id of cards.keys()) if (!kept.has(id)) cards.delete(id);
}

function swap(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  old.replaceWith(fresh);
  if (!focused) return;
  (fresh.querySelector(same(focused)) ?? fresh.querySelector("a")).focus();
}

function drawDetail(incident) {
  at("list").hidden = incident !== null;
  at("detail").hidden = incident === null;
  const state = JSON.stringify(incident);
  if (incident === null || state === drawnDetail) return;
  drawnDetail = state;
  at("detail").dataset.missing = incident.missing ? "yes" : ""; // then typed commands have no incident
  const focused = at("detail").contains(document.activeElement) ? same(document.activeElement) : null;
  if (incident.missing) {
    at("detail").replaceChildren(make("a", { class: "back", href: "/" }, "← All incidents"), make("p", { class: "quiet big" }, incident.missing));
    return;
  }
  const draw = () => at("detail").replaceChildren(...whole(incident, act, plans, draw));
  draw();
  if (focused) (at("detail").querySelector(focused) ?? at("detail").querySelector("button, a")).focus();
}

/** A selector of the element that stands for this one after a redraw. */
function same(element) {
  const known = ["words", "alert", "plan", "drills"].find((name) => element.dataset[name]);
  return known ? `[data-${known}="${CSS.escape(element.dataset[known])}"]` : "button, a";
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
  drawnDetail = drawnPlans = "";
  plans.hidden = true;
  at("heading").after(plans);
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
at("close-answer").addEventListener("click", closeAnswer);
at("more").addEventListener("click", () => {
  openLimit += PAGE;
  refresh();
});
at("older").addEventListener("click", () => {
  olderLimit = Math.min(MOST, olderLimit + 40);
  refresh();
});
window.addEventListener("popstate", arrive);
if (at("say")) listen(at("say"), () => (at("detail").dataset.missing ? null : shownIncident()), refresh);
setInterval(tick, 15000);
setInterval(() => { if (connected && !document.hidden) refresh(); }, PLANS_MS);
setInterval(() => { if (!connected || failing) refresh(); }, 5000);
follow({ onEvent: showEvent, onLine: showLine, onChange: refresh, onState: showState });
arrive();
