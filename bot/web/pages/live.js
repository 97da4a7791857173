// The live connection: server-sent events, with a timeout for silence and automatic reconnection.
// It uses fetch, because EventSource cannot send the page's key.

import { ask } from "./key.js";

const SILENCE_MS = 40000;  // the bot pings every 15 s
const AGAIN_MS = 1000;
const REFUSED_MS = 3000;

/** Calls onEvent(event) for each event, onLine(line) for each line without an event, onChange() when the page must load again, onState("live"|"lost") when the connection changes. */
export async function follow({ onEvent, onLine, onChange, onState }) {
  let heardAt = Date.now();
  let last = null;  // id of the last event, from which the bot goes on
  let connection = new AbortController();

  async function connect() {
    heardAt = Date.now();
    connection = new AbortController();
    const answer = await ask("/events", { headers: last === null ? {} : { "Last-Event-ID": last }, signal: connection.signal });
    if (!answer.ok) return REFUSED_MS;
    onState("live");
    onChange();
    for await (const event of events(answer.body)) {
      heardAt = Date.now();
      handle(event);
    }
    return AGAIN_MS;
  }

  function handle({ id, event, data }) {
    if (id) last = id;
    if (event === "said") onLine(JSON.parse(data));
    else if (event === "reread") onChange();
    else if (data && !event) {
      onEvent(JSON.parse(data));
      onChange();
    }
  }

  setInterval(() => { if (Date.now() - heardAt > SILENCE_MS) connection.abort(); }, AGAIN_MS);
  for (;;) {
    const rest = await connect().catch(() => AGAIN_MS);
    onState("lost");
    await new Promise((rested) => setTimeout(rested, rest));
  }
}

/** The fields of each event, as they arrive. The bot writes one line per field, with a space after the colon. */
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
