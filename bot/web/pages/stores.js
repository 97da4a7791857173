// Stores of backups: what could be restored now, against what is promised, and a chart of the last drills.

import { age, due, make, plain, utc } from "./draw.js";

const VERDICTS = ["red", "unknown", "warning", "ok"];
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320, HEIGHT = 64, GAP = 4;
const MOST_BARS = 12;
const STEP = (WIDTH + GAP) / MOST_BARS; // also of a single drill: a bar as wide as the chart would be no bar
const STUB = 10; // the height of a drill that says nothing about the backup
const FAILURES = new Set(["failed", "damaged"]);
const SAYS_NOTHING = new Set(["missed", "aborted", "running"]);

/** For the heading, where the stores cannot be read. */
export function unreadable() {
  return make("span", { class: "verdict", "data-verdict": "unknown" }, "cannot be read");
}

/** "1 red, 2 ok": how many stores stand how. */
export function counted(stores) {
  return VERDICTS.flatMap((verdict) => {
    const number = stores.filter((one) => one.verdict === verdict).length;
    return number ? [make("span", { class: "verdict", "data-verdict": verdict }, `${number} ${verdict}`)] : [];
  });
}

export function store(one, open) {
  return make(
    "article",
    { class: "store", "data-verdict": one.verdict },
    make("h3", { dir: "auto" }, make("span", { class: "verdict", "data-verdict": one.verdict }, one.verdict), " ", make("strong", {}, one.name), " ", make("span", { class: "aside" }, one.title)),
    findings(one),
    facts(one),
    charts(one),
    drills(one, open),
  );
}

function findings(one) {
  if (one.findings.length === 0) return null;
  return make("ul", { class: "findings" }, ...one.findings.map((found) => make("li", {}, found.text, found.since ? make("span", { class: "aside" }, " since ", utc(found.since)) : null)));
}

function facts(one) {
  const rows = [
    row("Data that can be restored", one.reaches ? [age(one.reaches, " old"), `; ${much(one.rpo_s)} allowed (RPO)`] : ["nothing"]),
    one.usable && row("Newest usable backup", [make("code", {}, one.usable.id), ` ${size(one.usable.size_bytes)}, data of `, utc(one.usable.data_at)]),
    one.newest && one.newest.id !== one.usable?.id && row("Newest of any kind", [make("code", {}, one.newest.id), `: ${one.newest.problem}`]),
    one.wal && row("WAL", [one.wal.gap || "complete", one.wal.ok_until ? " until " : "", one.wal.ok_until ? utc(one.wal.ok_until) : ""]),
    one.restorable && row("Restore takes", [one.rto_p50_s === null ? "unknown: no drill has passed" : `${much(one.rto_p50_s)} (p50), ${much(one.rto_p95_s)} (p95); ${much(one.rto_s)} allowed (RTO)`]),
    one.drill_due_at && row("Next drill", [due(one.drill_due_at)]),
    one.read_at && row("Read", [age(one.read_at), one.known ? "" : `; cannot be read now: ${one.problem}`]),
  ].filter(Boolean);
  return make("dl", { class: "store-facts" }, ...rows);
}

function row(name, values) {
  return make("div", {}, make("dt", {}, name), make("dd", {}, ...values));
}

/** The oldest on the left, as time goes. Nothing is drawn before a drill was made. */
function charts(one) {
  const found = one.drills.slice(0, MOST_BARS).reverse();
  if (!found.some((drill) => drill.rto_s !== null)) return null;
  return make("div", { class: "charts" }, chart("RTO", found, "rto_s", one.rto_s), chart("RPO", found, "rpo_s", one.rpo_s));
}

function chart(name, found, key, limit) {
  const values = found.map((drill) => drill[key]);
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  const top = Math.max(limit, ...known);
  const height = (value) => Math.max(2, (value / top) * (HEIGHT - 8));
  const last = found.length === 1 ? "last drill" : `last ${found.length} drills`;
  const words = `${name} of the ${last}: ${found.map((drill) => measured(drill, key)).join(", ")}; ${much(limit)} allowed`;
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "xMinYMid", role: "img", "aria-label": words });
  for (const [place, drill] of found.entries()) {
    const value = drill[key];
    const silent = SAYS_NOTHING.has(drill.result);
    const tall = silent ? STUB : value === null ? HEIGHT - 8 : height(value);
    const bar = drawn("rect", { x: place * STEP + 1, y: HEIGHT - tall, width: STEP - GAP, height: tall - 1, class: "bar", "data-result": drill.result, "data-over": value !== null && value > limit ? "yes" : "no" });
    const hint = drawn("title", {});
    hint.textContent = `${utc(drill.began_at).textContent}: ${measured(drill, key)}`;
    bar.append(hint);
    picture.append(bar);
    if (FAILURES.has(drill.result)) picture.append(cross(place * STEP + 1 + (STEP - GAP) / 2, HEIGHT - tall / 2)); // not by colour alone
  }
  const line = HEIGHT - height(limit);
  picture.append(drawn("line", { x1: 0, x2: WIDTH, y1: line, y2: line, class: "limit" }));
  return make("figure", {}, make("figcaption", {}, `${name} of the ${last}; dashed: ${much(limit)} allowed`), picture);
}

/** What one drill says in a chart: "20 min", "failed", "2 h (damaged)". */
function measured(drill, key) {
  const result = plain(drill.result);
  if (drill[key] === null) return result === "passed" ? "not measured" : result;
  return result === "passed" ? much(drill[key]) : `${much(drill[key])} (${result})`;
}

function cross(x, y) {
  const arm = 4;
  return drawn("path", { d: `M${x - arm} ${y - arm}l${2 * arm} ${2 * arm}m0 ${-2 * arm}l${-2 * arm} ${2 * arm}`, class: "cross" });
}

function drawn(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function drills(one, open) {
  if (one.drills.length === 0) return null;
  const lines = one.drills.map((drill) => make("li", {}, make("span", { class: "drill", "data-result": drill.result }, drill.result), " ", utc(drill.began_at), drill.rto_s === null ? "" : `, ${much(drill.rto_s)}`, drill.message ? `: ${drill.message}` : ""));
  const details = make("details", { "data-store": one.name }, make("summary", { "data-drills": one.name }, `Last ${one.drills.length === 1 ? "drill" : `${one.drills.length} drills`}`), make("ol", { class: "drills" }, ...lines));
  details.open = open;
  return details;
}

/** Seconds as people say them: "12 min", "1 h 40 min". */
export function much(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return `${Math.round(hours / 24)} d`;
  return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
}

function size(bytes) {
  if (bytes === null) return "";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${Number((bytes / 1000 ** step).toPrecision(3))} ${units[step]}`;
}
