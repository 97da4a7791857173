// Turns the API's data into elements. Data is always inserted as text, never as markup.

const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f\u061c\u200e\u200f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;

// No language has more than three marks on one letter; more would cover the lines above and below.
const JOINERS = /[\u200c\u200d]{2,}/g;
const PILED = /((?:[\u200c\u200d]?\p{M}){3})(?:[\u200c\u200d]?\p{M})+/gu;

const ASKED_MS = 10000; // how long a second press of Resolve counts as a yes

/** The text without control characters, direction marks (which can make a label look like another) and piled marks. */
export function plain(text) {
  return String(text ?? "").replace(INVISIBLE, "").replace(JOINERS, "\u200d").replace(PILED, "$1");
}

// A command or a name in a message: one pair of backticks on one line, as bot/lib/code_spans.py has it.
const CODE = /(?<!`)`([^`\n]+)`(?!`)/;

/** The text in pieces, its code spans as <code>: split() puts what the group matched at every odd place. */
function pieces(text) {
  return text.split(CODE).map((piece, place) => (place % 2 ? make("code", {}, piece) : piece));
}

/** make("p", {class: "facts"}, "text", child): attributes as strings, children as nodes or text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const child of children) {
    if (child !== null && child !== undefined) element.append(...(child instanceof Node ? [child] : pieces(plain(child))));
  }
  return element;
}

/** A duration: "5 min". */
export function span(fromMs, toMs) {
  const minutes = Math.max(0, Math.floor((toMs - fromMs) / 60000));
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** The age of a moment, kept up to date by tick(), with the exact time on hover. */
export function age(iso, after = " ago") {
  const element = make("time", { datetime: iso, title: exact(iso), "data-after": after });
  showAge(element);
  return element;
}

/** The time of day, with the date if that is not today. */
export function clock(iso) {
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: today ? "2-digit" : undefined, hour12: false });
  const day = at.toLocaleDateString([], { month: "short", day: "numeric" });
  return make("time", { datetime: iso, title: exact(iso) }, today ? time : `${day} ${time}`);
}

/** A moment as the texts of backups and the commands of a restore have it: "2026-12-01 05:52 UTC". */
export function utc(iso) {
  const at = new Date(iso).toISOString();
  return make("time", { datetime: iso, title: exact(iso) }, `${at.slice(0, 10)} ${at.slice(11, 16)} UTC`);
}

/** "in 3 h 5 min", and "due now" from that moment on, kept up to date by tick(). */
export function due(iso) {
  const element = make("time", { datetime: iso, title: exact(iso), "data-due": "" });
  showDue(element);
  return element;
}

/** How long it is until a moment, kept up to date by tick(). */
export function left(iso) {
  const element = make("time", { datetime: iso, title: exact(iso), "data-left": "" });
  showLeft(element);
  return element;
}

export function tick() {
  document.querySelectorAll("time[data-after]").forEach(showAge);
  document.querySelectorAll("time[data-left]").forEach(showLeft);
  document.querySelectorAll("time[data-due]").forEach(showDue);
}

function showAge(element) {
  element.textContent = span(Date.parse(element.dateTime), Date.now()) + element.dataset.after;
}

function showLeft(element) {
  element.textContent = `${span(Date.now(), Date.parse(element.dateTime))} left`;
}

function showDue(element) {
  const at = Date.parse(element.dateTime);
  element.textContent = at <= Date.now() ? "due now" : `in ${span(Date.now(), at)}`;
}

function exact(iso) {
  const at = new Date(iso);
  return `${at.toLocaleString()} (${at.toISOString().replace(/\.\d+Z$/, "Z")})`;
}

/** One incident as a card. `act(words, button)` is called when a button is pressed; null: no buttons. */
export function card(incident, act) {
  return make(
    "article",
    { class: "incident", "data-id": incident.id, "data-severity": incident.severity, "data-status": incident.status },
    tags(incident),
    make("h3", { dir: "auto" }, make("a", { href: `/incidents/${incident.id}` }, ...title(incident.title))),
    facts(incident),
    buttons(incident, act),
  );
}

/** The heading of the cards of one severity, with how many there are, also of those that are not shown. */
export function heading(severity, open, acknowledged) {
  const count = make("span", { class: "count" }, String(open + acknowledged));
  const taken = acknowledged ? make("span", { class: "taken" }, open ? `${acknowledged} acknowledged` : "all acknowledged") : null;
  return make("h2", { class: "group", "data-severity": severity }, make("span", { class: "name" }, severity), " ", count, taken && " ", taken);
}

/** What and where stand out; what happens follows the first colon. */
export function title(text) {
  const said = plain(text);
  const end = said.indexOf(": ");
  if (end < 0) return [make("strong", {}, ...breakable(said))];
  return [make("strong", {}, ...breakable(said.slice(0, end + 1))), " ", make("span", {}, said.slice(end + 2))];
}

/** ALongNameOfAnAlertLikeThis may wrap before a capital letter, not anywhere. */
function breakable(text) {
  return text.split(/(?<=[A-Za-z]{8}[a-z])(?=[A-Z])/).flatMap((part, index) => (index ? [make("wbr"), part] : [part]));
}

export function tags(incident) {
  return make(
    "p",
    { class: "tags" },
    make("span", { class: "badge" }, incident.severity),
    make("span", { class: "state", "data-status": incident.status }, incident.holder),
    make("span", { class: "mono" }, `#${incident.id}`),
  );
}

/** Since when, how much, and whose. An age counts from the first alert that fires, not from when the bot heard of it. */
export function facts(incident) {
  const list = make("p", { class: "facts" });
  if (incident.status === "resolved") {
    list.append(make("span", {}, "resolved ", age(incident.resolved_at ?? incident.changed_at)));
    list.append(make("span", {}, `${incident.total} ${incident.total === 1 ? "alert" : "alerts"}`));
  } else {
    const since = incident.since ?? incident.opened_at;
    list.append(make("span", {}, incident.since ? "firing for " : "open for ", make("b", {}, age(since, ""))));
    if (incident.total) list.append(make("span", {}, make("b", {}, `${incident.firing} firing`), incident.total > incident.firing ? ` of ${incident.total}` : null));
  }
  if (incident.flapping) list.append(make("span", {}, incident.flapping));
  if (incident.service) list.append(make("span", { dir: "auto" }, "service ", make("b", {}, incident.service)));
  if (incident.truncated) list.append(make("span", {}, `${incident.truncated} more not sent by the source`));
  return list;
}

export function buttons(incident, act) {
  if (!act || incident.status === "resolved") return null;
  const row = make("div", { class: "acts" });
  const name = `incident ${incident.id}, ${plain(incident.title)}`;
  if (incident.status === "open") row.append(button("Acknowledge", `ack ${incident.id}-${incident.mark}`, "act first", name, act));
  const once = incident.firing ? askFirst(incident, name, act) : act;
  row.append(button("Resolve", `resolve ${incident.id}-${incident.mark}`, "act", name, once));
  return row;
}

/** What fires on opens again and pages, so the first press says so, and a second one within a few seconds resolves. */
function askFirst(incident, name, act) {
  let until = 0;
  const say = (element, label) => {
    element.textContent = label;
    element.setAttribute("aria-label", `${label}: ${name}`);
  };
  return (words, element) => {
    if (Date.now() < until) return act(words, element);
    until = Date.now() + ASKED_MS;
    say(element, incident.firing === 1 ? "1 alert still fires. Resolve?" : `${incident.firing} alerts still fire. Resolve?`);
    setTimeout(() => say(element, "Resolve"), ASKED_MS);
    return null;
  };
}

export function button(label, words, kind, about, act) {
  const element = make("button", { type: "button", class: kind, "data-words": words, "aria-label": `${label}: ${about}` }, label);
  element.addEventListener("click", () => act(words, element));
  return element;
}

/** A plan that waits: what it would do, until when, and its buttons, which are seen only together with the effect. */
export function plan(one, act, open) {
  const row = act ? make("div", { class: "acts" }) : null;
  for (const [label, words] of Object.entries(act ? one.buttons : {})) {
    row.append(button(label, words, label === "Drop it" ? "act" : "act first", `plan ${one.id}, ${plain(one.words)}`, act));
  }
  const about = one.incident_id ? make("a", { href: `/incidents/${one.incident_id}` }, `#${one.incident_id}`) : null;
  const head = make("summary", { "data-plan": one.id }, make("strong", { dir: "auto" }, `${one.by} asks: `, make("code", {}, plain(one.words))), make("span", { class: "aside" }, left(one.expires_at)));
  return make(
    "details",
    { class: "plan", open: open ? "" : null },
    head,
    make("ul", { class: "effect" }, ...one.lines.map((line) => make("li", { dir: "auto", class: line.startsWith("LOST") ? "loss" : null }, line))),
    one.approved_by.length ? make("p", {}, `Approved by ${one.approved_by.map(plain).join(", ")}.`) : null,
    one.can_approve ? make("p", { class: "approvers", dir: "auto" }, one.can_approve) : null,
    make("p", { class: "aside", dir: "auto" }, `${one.waits_for}. Asked in ${one.via}`, about && ", about ", about, "."),
    row,
  );
}
