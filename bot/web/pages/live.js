// The live connection: server-sent events, a watch on its silence, and a way back when it is lost.
// Read with fetch and not with EventSource, which cannot bear the page's key.

import { ask } from "./key.js";

const SILENCE_MS = 40000;  // the bot pings every 15 s
const AGAIN_MS = 1000;
const REFUSED_MS = 3000;

/** Calls told(event) for each event, said(line) for each line that is none, moved() when things must be read again, state("live"|"lost") when that changes. */
export async function follow({ told, said, moved, state }) {
  let heardAt = Date.now();
  let last = null;  // id of the last event, from which the bot goes on
  let line = new AbortController();

  async function connect() {
    heardAt = Date.now();
    line = new AbortController();
    const answer = await ask("/events", { headers: last === null ? {} : { "Last-Event-ID": last }, signal: line.signal });
    if (!answer.ok) return REFUSED_MS;
    state("live");
    moved();
    for await (const event of events(answer.body)) {
      heardAt = Date.now();
      hear(event);
    }
    return AGAIN_MS;
  }

  function hear({ id, event, data }) {
    if (id) last = id;
    if (event === "said") said(JSON.parse(data));
    else if (event === "reread") moved();
    else if (data && !event) {
      told(JSON.parse(data));
      moved();
    }
  }

  setInterval(() => { if (Date.now() - heardAt > SILENCE_MS) line.abort(); }, AGAIN_MS);
  for (;;) {
    const rest = await connect().catch(() => AGAIN_MS);
    state("lost");
    await new Promise((rested) => setTimeout(rested, rest));
  }
}

/** The fields of each event, as they come. The bot writes one line for a field, with a blank after the colon. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield fields(block);
  }
}

function fields(block) {
  return Object.fromEntries(block.split("\n").map((line) => [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)]));
}
