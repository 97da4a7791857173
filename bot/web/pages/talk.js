// The log, and commands to the bot. Typed commands and buttons use the same code.

import { clock, make, plain } from "./draw.js";
import { ask } from "./key.js";

const MOST_LINES = 300;
const QUIET = new Set(["alerts.fired", "alerts.ended", "alerts.changed"]);  // they only change the card; many of them would hide the rest

const [box, log, lines] = ["console", "log", "lines"].map((id) => document.getElementById(id));
const loadedAt = Date.now();
const seen = new Set();

/** Show a committed event, once, however often it is sent. */
export function showEvent(event) {
  if (seen.has(event.id)) return;
  seen.add(event.id);
  if (QUIET.has(event.what)) return;
  const link = make("a", { href: `/incidents/${event.incident_id}`, class: "mono" }, `#${event.incident_id}`);
  line("event", event.at, link, ` ${plain(event.said)}`);
}

/** Show a line that belongs to no incident. It replaces an earlier line of the same name. */
export function showLine({ name, at, text }) {
  const old = log.querySelector(`[data-name="${CSS.escape(name)}"]`);
  const fresh = line("reply", at, text);
  fresh.dataset.name = name;
  old?.replaceWith(fresh);
}

/** Send a command and put the answer in the log. True if it was done. `incident`: the one that is shown. */
export async function say(words, incident) {
  line("mine", new Date().toISOString(), words);
  const act = { words, once: makeOnce() };
  if (incident) act.incident = incident;
  const { ok, said, buttons } = await send(act, 2);
  const row = Object.entries(buttons ?? {}).map(([label, then]) => offer(label, then, incident));
  const answer = line(ok ? "reply" : "refused", new Date().toISOString(), said, ...(row.length ? [make("span", { class: "offers" }, ...row)] : []));
  closeAnswer();
  if (row.length || said.includes("\n")) keepAnswer(answer);
  return ok;
}

/** Where only the last line is shown, an answer of several lines stays, whole, until it is closed. */
function keepAnswer(answer) {
  answer.classList.add("kept");
  box.classList.add("answered");
  log.scrollTop = Math.min(answer.offsetTop - lines.offsetTop, log.scrollHeight);
}

export function closeAnswer() {
  box.classList.remove("answered");
  lines.querySelectorAll(".kept").forEach((answer) => answer.classList.remove("kept"));
  log.scrollTop = log.scrollHeight;
}

/** A button under an answer: it sends its command, once. */
function offer(label, words, incident) {
  const element = make("button", { type: "button", class: "act", "data-words": words }, label);
  element.addEventListener("click", async () => {
    for (const one of element.parentElement.children) one.disabled = true;
    await say(words, incident);
  });
  return element;
}

/** A retry sends the same `once`, so the command cannot run twice if an answer was lost. */
async function send(act, tries) {
  try {
    const answer = await ask("/console", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(act),
    });
    const body = await answer.json();
    return answer.ok ? { ok: body.ok, said: body.said, buttons: body.buttons } : { ok: false, said: body.error.message };
  } catch {
    if (tries > 1) return send(act, tries - 1);
    return { ok: false, said: "The bot does not answer. It is unknown whether the command was run." };
  }
}

function makeOnce() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A screen reader says what comes from now on, and not the events of before the page was opened. */
function line(kind, at, ...said) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  const fresh = make("li", { "data-kind": kind }, clock(at), make("span", { class: "said", dir: "auto" }, ...said));
  log.setAttribute("aria-live", Date.parse(at) < loadedAt ? "off" : "polite");
  lines.append(fresh);
  while (lines.children.length > MOST_LINES) lines.firstChild.remove();
  if (atEnd || kind !== "event") log.scrollTop = log.scrollHeight;
  return fresh;
}

/** The command line: Enter sends, the arrow keys go through earlier commands. */
export function listen(form, incidentShown, after) {
  const words = form.elements.words;
  const before = [];
  let place = 0;
  form.addEventListener("submit", async (submitted) => {
    submitted.preventDefault();
    const typed = words.value.trim();
    if (!typed) return;
    before.push(typed);
    place = before.length;
    words.value = "";
    await say(typed, incidentShown());
    after();
  });
  words.addEventListener("keydown", (key) => {
    if (key.key !== "ArrowUp" && key.key !== "ArrowDown") return;
    key.preventDefault();
    place = Math.min(before.length, Math.max(0, place + (key.key === "ArrowUp" ? -1 : 1)));
    words.value = before[place] ?? "";
  });
}
