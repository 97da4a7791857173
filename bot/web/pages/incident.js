// One incident in full: what it is, what to look at, its alerts, its story, who was told.

import { age, buttons, clock, facts, make, plain, tags, title } from "./draw.js";

const FIRST = 8;  // alerts that are shown before somebody asks for all
const opened = new Map();  // alert -> whether a person opened or closed it
const unfolded = new Set();  // incidents whose alerts are all shown

/** The parts of the page. `act(words, button)` is called when a button is pressed; null: no buttons. `plans`: the element
 * of the plans that wait; `again()` draws the page again. */
export function whole(incident, act, plans, again) {
  const head = make(
    "div",
    { class: "incident whole", "data-severity": incident.severity, "data-status": incident.status },
    tags(incident),
    make("h1", { dir: "auto" }, ...title(incident.title)),
    facts(incident),
    incident.on_call.length ? make("p", { class: "facts" }, make("span", {}, "on call ", make("b", {}, incident.on_call.join(", ")))) : null,
    incident.description ? make("p", { class: "description", dir: "auto" }, incident.description) : null,
    ...incident.remarks.map((one) => make("p", { class: "remark", dir: "auto" }, one)),
    chips(Object.entries(incident.key_labels)),
    links(incident.links),
    buttons(incident, act),
  );
  return [
    make("a", { class: "back", href: "/" }, "← All incidents"),
    head,
    plans,
    ...(incident.runs.length ? [block("Actions", make("ol", { class: "panel story" }, ...incident.runs.map(run)))] : []),
    ...(incident.alerts.length ? [block(`Alerts (${alertCount(incident)})`, alerts(incident, again))] : []),
    block("Timeline", make("ol", { class: "panel story" }, ...incident.events.map(fact))),
    block("Notifications", deliveries(incident.deliveries)),
  ];
}

function block(heading, content) {
  return make("section", { class: "block" }, make("h2", {}, heading), content);
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
  return incident.total > incident.alerts.length ? `${incident.alerts.length} of ${incident.total}` : incident.alerts.length;
}

/** Labels and annotations that all alerts share are shown once, so that the differences stand out. */
function alerts(incident, again) {
  const rows = incident.alerts;
  const several = rows.length > 1;
  const labels = several ? shared(rows.map(labelsOf)) : [];
  const notes = several ? shared(rows.map((row) => Object.entries(row.notes))) : [];
  const own = (pairs, common) => pairs.filter(([name, value]) => !common.some(([same, text]) => same === name && text === value));
  const first = unfolded.has(incident.id) ? rows : rows.slice(0, FIRST);
  const box = make("div", { class: "panel" });
  box.append(...first.map((row) => alert(row, own(labelsOf(row), labels), own(Object.entries(row.notes), notes), incident, several)));
  if (rows.length > first.length) box.append(unfold(incident, rows.length, again));
  if (labels.length + notes.length) box.append(make("div", { class: "alert common" }, make("p", { class: "aside" }, "The same in all alerts"), ...notes.map((one) => note(one, rows[0].links)), chips(labels)));
  return box;
}

function unfold(incident, count, again) {
  const all = make("button", { type: "button", class: "plain all-alerts", "data-words": "all alerts" }, `Show all ${count} alerts`);
  all.addEventListener("click", () => {
    unfolded.add(incident.id);
    again();
  });
  return all;
}

function labelsOf(row) {
  return Object.entries(row.labels).filter(([name]) => name !== "alertname").sort();
}

/** The pairs that are in every list. */
function shared(lists) {
  const others = lists.slice(1).map((list) => new Map(list));
  return lists[0].filter(([name, value]) => others.every((other) => other.get(name) === value));
}

/** One row that opens: what tells it apart, its value and since when; inside are its labels, annotations and links. */
function alert(row, labels, notes, incident, several) {
  const now = row.firing ? make("span", { class: "firing" }, "firing") : make("span", { class: "ended" }, "ended");
  const when = row.firing ? make("span", { class: "aside" }, "for ", age(row.starts_at, "")) : make("span", { class: "aside" }, row.ended_at ? age(row.ended_at) : null);
  const key = `${row.source} ${row.fingerprint} ${row.starts_at}`;
  const head = make("summary", { class: "alert-head", "data-alert": key }, now, make("strong", { dir: "auto" }, row.told), row.value ? make("span", { class: "value", dir: "auto" }, row.value) : null, when);
  const since = make("p", { class: "aside" }, make("b", {}, row.labels.alertname ?? "(no alertname)"), ", since ", clock(row.starts_at));
  if (row.ended_at) since.append(" until ", clock(row.ended_at));
  const others = Object.fromEntries(Object.entries(row.links).filter(([, address]) => !Object.values(incident.links).includes(address)));
  const open = opened.get(key) ?? !several;
  const element = make("details", { class: "alert", open: open ? "" : null }, head, since, ...notes.map((one) => note(one, row.links)), chips(labels), links(others));
  element.addEventListener("toggle", () => opened.set(key, element.open));
  return element;
}

/** An annotation is text; an address among the links of its alert can be opened. */
function note([name, text], known) {
  const to = Object.values(known).includes(text.trim()) ? safe(text.trim()) : null;
  return make("p", { dir: "auto", class: name === "summary" ? null : "aside" }, name === "summary" ? null : `${plain(name)}: `, to ? away(to, text) : text);
}

function chips(labels) {
  if (labels.length === 0) return null;
  const each = labels.map(([name, value]) => make("li", { dir: "auto" }, make("span", {}, `${plain(name)} `), value));
  return make("ul", { class: "labels" }, ...each);
}

/** Each is named for what it opens, with the host behind it. */
function links(known) {
  const each = Object.entries(known).map(([label, address]) => [label, safe(address)]).filter(([, to]) => to);
  if (each.length === 0) return null;
  return make("ul", { class: "links" }, ...each.map(([label, to]) => make("li", {}, away(to, label, " ", make("span", {}, to.host)))));
}

function away(to, ...said) {
  return make("a", { href: to.href, target: "_blank", rel: "noopener noreferrer" }, ...said);
}

/** The address, if it is one of the web. Which of them a reader can open, the bot has decided. */
function safe(address) {
  if (!URL.canParse(address)) return null;
  const to = new URL(address);
  return ["http:", "https:"].includes(to.protocol) ? to : null;
}

const KINDS = { card: "card", line: "timeline line", page: "page" };

function deliveries(rows) {
  if (rows.length === 0) return make("p", { class: "quiet" }, "No chat or pager is set up. Incidents are shown only on this board.");
  const heads = ["Channel", "Message", "State", "Queued", "Sent", "Attempts"].map((name) => make("th", { scope: "col" }, name));
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows.map(delivery)));
  return make("div", { class: "panel scroll", tabindex: "0", role: "region", "aria-label": "Notifications" }, table);
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
