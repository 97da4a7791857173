// Requests of this page. Each sends the page's key; after a restart of the bot a new key is loaded.

const META = 'meta[name="vakhta-page"]';
const page = document.querySelector(META);
let renewing = null;
let outdated = false;

/** As fetch. If the bot refuses the key as outdated, it has done nothing: load a new key and send the request again. */
export async function ask(address, options = {}) {
  const used = page.content;
  const answer = await fetch(address, withKey(options));
  if (answer.status !== 403 || !(await isOld(answer))) return answer;
  if (page.content === used) await (renewing ??= renew().finally(() => { renewing = null; }));
  return fetch(address, withKey(options));
}

/** Whether the bot has been updated since this page was loaded. */
export function isOutdated() {
  return outdated;
}

function withKey(options) {
  return { ...options, headers: { ...options.headers, "X-Vakhta-Page": page.content } };
}

async function isOld(answer) {
  const body = await answer.clone().json().catch(() => null);
  return body?.error?.code === "page_old";
}

async function renew() {
  const answer = await fetch("/");
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(META);
  if (!fresh) return;
  outdated ||= fresh.dataset.version !== page.dataset.version;
  page.content = fresh.content;
}
