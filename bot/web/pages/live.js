// The live connection: server-sent events, a watch on its silence, and a way back when it is lost.

const SILENCE_MS = 40000;  // the bot pings every 15 s
const AGAIN_MS = 3000;

/** Calls told(event) for each event, said(line) for each line that is none, moved() when things must be read again, state("live"|"lost") when that changes. */
export function follow({ told, said, moved, state }) {
  let source = null;
  let last = Date.now();

  function connect() {
    source?.close();
    source = new EventSource("/events");
    last = Date.now();
    const heard = () => { last = Date.now(); };
    source.onopen = () => { heard(); state("live"); moved(); };
    source.onmessage = (message) => { heard(); told(JSON.parse(message.data)); moved(); };
    source.addEventListener("ping", heard);
    source.addEventListener("said", (message) => { heard(); said(JSON.parse(message.data)); });
    source.addEventListener("reread", () => { heard(); moved(); });
    source.onerror = () => state("lost");
  }

  // The browser itself comes back after a broken connection, but not after a refusal and not after silence.
  setInterval(() => {
    const refused = source.readyState === EventSource.CLOSED;
    const silent = Date.now() - last > SILENCE_MS;
    if (silent) state("lost");
    if (refused || silent) connect();
  }, AGAIN_MS);
  connect();
}
