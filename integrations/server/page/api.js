// The server, asked over its REST routes. A token lives in this tab's session storage, and nowhere else.

const TOKEN = "agentmem.token";
const WHOSE = "agentmem.whose";

/** What went wrong, as problem details say it. */
export class Problem extends Error {
  constructor(told) {
    super(told.detail || told.title || "The server could not be reached.");
    this.status = told.status ?? 0;
    this.hint = told.hint ?? "";
    this.kind = (told.type ?? "").split(":").pop();
    this.request = told.request_id ?? "";
  }
}

export const session = {
  me: null,
  get token() {
    return sessionStorage.getItem(TOKEN);
  },
  set token(value) {
    if (value) sessionStorage.setItem(TOKEN, value);
    else sessionStorage.removeItem(TOKEN);
  },
  /** Whose notes are meant, where the token does not say so: {user} or {agent}, or neither for what is shared. */
  get whose() {
    return JSON.parse(sessionStorage.getItem(WHOSE) ?? "null");
  },
  set whose(value) {
    if (value) sessionStorage.setItem(WHOSE, JSON.stringify(value));
    else sessionStorage.removeItem(WHOSE);
  },
  may(right) {
    return Boolean(this.me?.rights.includes(right));
  },
};

function named() {
  if (!session.me?.anyone) return {};
  const { user, agent } = session.whose ?? {};
  if (user) return agent ? { user, agent } : { user };
  return agent ? { agent } : { shared: "true" };
}

/** An answer of the server; a Problem where it says that something is wrong. */
export async function ask(method, path, { query = {}, body, signal, bare = false } = {}) {
  const url = new URL(`../v1/${path}`, document.baseURI);
  for (const [name, value] of Object.entries({ ...(bare ? {} : named()), ...query })) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const headers = { Accept: "application/json" };
  if (session.token) headers.Authorization = `Bearer ${session.token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ detail: "The server does not answer.", hint: "is agentmem serve still running?" });
  }
  const told =
    answer.status === 204
      ? null
      : await answer.json().catch(() => ({ status: answer.status, title: answer.statusText }));
  if (!answer.ok) {
    const problem = new Problem(told);
    if (answer.status === 401 && !bare) dispatchEvent(new CustomEvent("signedout", { detail: problem }));
    throw problem;
  }
  return told;
}

export const get = (path, options) => ask("GET", path, options);
export const post = (path, body, options) => ask("POST", path, { ...options, body });
export const id = (value) => encodeURIComponent(value);

/** Notes by id, in the order asked for; those that are not seen here are left out. */
export async function notesById(ids, signal) {
  const found = new Map();
  for (let at = 0; at < ids.length; at += 50) {
    const where = JSON.stringify({ id: { $in: ids.slice(at, at + 50) } });
    const { notes } = await get("notes", { query: { where, limit: 50 }, signal });
    for (const note of notes) found.set(note.id, note);
  }
  return ids.map((each) => found.get(each)).filter(Boolean);
}
