// Turns the API's data into elements. Data is always inserted as text, never as markup.

const INVISIBLE = /[\u0000-\u0008\u000b-\u001f\u007f\u061c\u200e\u200f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;

// No language has more than three marks on one letter; more would cover the lines above and below.
const JOINERS = /[\u200c\u200d]{2,}/g;
const PILED = /((?:[\u200c\u200d]?\p{M}){3})(?:[\u200c\u200d]?\p{M})+/gu;

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

export function tick() {
  document.querySelectorAll("time[data-after]").forEach(showAge);
}

function showAge(element) {
  element.textContent = span(Date.parse(element.dateTime), Date.now()) + element.dataset.after;
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
    make("h3", { dir: "auto" }, make("a", { href: `/incidents/${incident.id}` }, ...breakable(incident.title))),
    facts(incident),
    buttons(incident, act),
  );
}

/** One incident in full. */
export function whole(incident, act) {
  const head = make(
    "div",
    { class: "incident whole", "data-severity": incident.severity, "data-status": incident.status },
    tags(incident),
    make("h1", { dir: "auto" }, ...breakable(incident.title)),
    facts(incident),
    buttons(incident, act),
  );
  return [
    make("a", { class: "back", href: "/" }, "← All incidents"),
    head,
    ...(incident.runs.length ? [block("Actions", make("ol", { class: "panel story" }, ...incident.runs.map(run)))] : []),
    block("Timeline", make("ol", { class: "panel story" }, ...incident.events.map(fact))),
    block("Notifications", deliveries(incident.deliveries)),
    block(`Alerts (${alertCount(incident)})`, make("div", { class: "panel" }, ...alerts(incident.alerts))),
  ];
}

/** ALongNameOfAnAlertLikeThis may wrap before a capital letter, not anywhere. */
function breakable(title) {
  return plain(title).split(/(?<=[A-Za-z]{8}[a-z])(?=[A-Z])/).flatMap((part, index) => (index ? [make("wbr"), part] : [part]));
}

function tags(incident) {
  return make(
    "p",
    { class: "tags" },
    make("span", { class: "badge" }, incident.severity),
    make("span", { class: "state", "data-status": incident.status }, state(incident)),
    make("span", { class: "mono" }, `#${incident.id}`),
  );
}

function state(incident) {
  if (incident.status === "acknowledged") return incident.owner ? `acknowledged by ${incident.owner}` : "acknowledged";
  if (incident.status === "resolved") return incident.resolved_by ? `resolved by ${incident.resolved_by}` : "resolved";
  return "needs someone";
}

function facts(incident) {
  const list = make("p", { class: "facts" });
  if (incident.status === "resolved") {
    list.append(make("span", {}, age(incident.resolved_at ?? incident.changed_at)));
    list.append(make("span", {}, `${incident.total} ${incident.total === 1 ? "alert" : "alerts"}`));
  } else {
    list.append(make("span", {}, make("b", {}, `${incident.firing} firing`), incident.total > incident.firing ? ` of ${incident.total}` : null));
    list.append(make("span", {}, "opened ", age(incident.opened_at)));
  }
  if (incident.service) list.append(make("span", {}, incident.service));
  if (incident.owner && incident.status === "open") list.append(make("span", {}, `owner ${plain(incident.owner)}`));
  if (incident.truncated) list.append(make("span", {}, `${incident.truncated} more not sent by the source`));
  return list;
}

function buttons(incident, act) {
  if (!act || incident.status === "resolved") return null;
  const row = make("div", { class: "acts" });
  if (incident.status === "open") row.append(button("Acknowledge", `ack ${incident.id}-${incident.mark}`, "act first", incident, act));
  row.append(button("Resolve", `resolve ${incident.id}-${incident.mark}`, "act", incident, act));
  return row;
}

function button(label, words, kind, incident, act) {
  const name = `${label} incident ${incident.id}, ${plain(incident.title)}`;
  const element = make("button", { type: "button", class: kind, "data-words": words, "aria-label": name }, label);
  element.addEventListener("click", () => act(words, element));
  return element;
}

function block(title, content) {
  return make("section", { class: "block" }, make("h2", {}, title), content);
}

/** The state comes first: a person who was woken must see how bad it is. */
function run(one) {
  const said = make("div", { class: "said", dir: "auto" }, make("span", { class: "mark", "data-state": one.state }, one.state), make("b", {}, `: ${one.words}`));
  said.append(make("span", { class: "why" }, [`${one.by}, run ${one.id.slice(0, 8)}.`, one.why, one.todo].filter(Boolean).join(" ")));
  return make("li", {}, clock(one.began_at), said);
}

function fact(event) {
  return make("li", {}, clock(event.at), make("span", { class: "said", dir: "auto" }, event.said));
}

function alertCount(incident) {
  return incident.total > incident.alerts.length ? `newest ${incident.alerts.length} of ${incident.total}` : incident.alerts.length;
}

/** Labels and annotations that all alerts share are shown once, so that the differences stand out. */
function alerts(rows) {
  if (rows.length < 2) return rows.map((row) => alert(row, labelsOf(row), Object.entries(row.notes)));
  const labels = shared(rows.map(labelsOf));
  const notes = shared(rows.map((row) => Object.entries(row.notes)));
  const own = (pairs, common) => pairs.filter(([name, value]) => !common.some(([same, text]) => same === name && text === value));
  const all = make("div", { class: "alert common" }, make("div", { class: "aside" }, "All alerts"), ...notes.map(note), chips(labels));
  const each = rows.map((row) => alert(row, own(labelsOf(row), labels), own(Object.entries(row.notes), notes)));
  return labels.length + notes.length ? [all, ...each] : each;
}

function labelsOf(row) {
  return Object.entries(row.labels).filter(([name]) => name !== "alertname").sort();
}

/** The pairs that are in every list. */
function shared(lists) {
  const others = lists.slice(1).map((list) => new Map(list));
  return lists[0].filter(([name, value]) => others.every((other) => other.get(name) === value));
}

function alert(row, labels, notes) {
  const now = row.firing ? make("span", { class: "firing" }, "firing") : make("span", { class: "ended" }, "ended");
  const since = make("span", { class: "aside" }, "since ", clock(row.starts_at));
  if (row.ended_at) since.append(" until ", clock(row.ended_at));
  const head = make("div", { class: "alert-head" }, make("strong", {}, row.labels.alertname || "(no alertname)"), now, since, source(row));
  return make("div", { class: "alert" }, head, ...notes.map(note), chips(labels));
}

/** Runbook and dashboard annotations become links; any other annotation stays text. */
function note([name, text]) {
  const to = /^(runbook|dashboard)(_?url)?$/i.test(name) ? safe(text) : null;
  return make("p", { dir: "auto", class: name === "summary" ? null : "aside" }, to ? away(to, text) : text);
}

function chips(labels) {
  if (labels.length === 0) return null;
  const each = labels.map(([name, value]) => make("li", { dir: "auto" }, make("span", {}, `${plain(name)} `), value));
  return make("ul", { class: "labels" }, ...each);
}

function source(row) {
  const to = safe(row.link);
  return to ? away(to, `in ${plain(row.source)}`) : null;
}

function away(to, said) {
  return make("a", { href: to.href, target: "_blank", rel: "noopener noreferrer" }, said);
}

/** The address, if a browser may open it; null for scripts, files and cloud metadata. */
function safe(address) {
  if (!URL.canParse(address)) return null;
  const to = new URL(address);
  const metadata = to.hostname.startsWith("169.254.") || to.hostname.startsWith("[fe80:") || to.hostname === "metadata.google.internal";
  return ["http:", "https:"].includes(to.protocol) && !to.username && !metadata ? to : null;
}

const KINDS = { card: "card", line: "timeline line", page: "page" };

function deliveries(rows) {
  if (rows.length === 0) return make("p", { class: "quiet" }, "No chat or pager is set up. Incidents are shown only on this board.");
  const heads = ["Channel", "Message", "State", "Queued", "Sent", "Attempts"].map((title) => make("th", { scope: "col" }, title));
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows.map(delivery)));
  return make("div", { class: "panel scroll" }, table);
}

function delivery(row) {
  const late = row.state === "owed" && row.attempts > 0;
  const said = { owed: late ? "trying again" : "waiting", leased: "being sent", sent: "sent", dead: "not delivered" }[row.state] ?? row.state;
  const where = make("td", {}, row.channel);
  const what = make("td", {}, KINDS[row.kind] ?? row.kind, row.what ? make("span", { class: "why" }, row.what.split(".").at(-1)) : null);
  const stands = make("td", {}, make("span", { class: "mark", "data-state": late ? "late" : row.state }, said));
  if (row.why_not) stands.append(make("span", { class: "why" }, row.why_not));
  if (row.next_try_at) stands.append(make("span", { class: "why" }, "next attempt ", clock(row.next_try_at)));
  const sent = make("td", {}, row.sent_at ? clock(row.sent_at) : "–");
  return make("tr", {}, where, what, stands, make("td", {}, clock(row.owed_at)), sent, make("td", {}, row.attempts));
}
