// The page of agentmem serve: who is asking, which view is meant, and what every view has in common.

import { get, Problem, session } from "./api.js";
import { fresh, h, say } from "./dom.js";
import { loading, trouble } from "./parts.js";
import { remember } from "./remember.js";
import { listen } from "./shortcuts.js";
import { signIn } from "./signin.js";
import { choosing } from "./whose.js";

const VIEWS = {
  search: () => import("./views/search.js"),
  note: () => import("./views/note.js"),
  graph: () => import("./views/graph.js"),
  conversations: () => import("./views/conversations.js"),
  weights: () => import("./views/weights.js"),
  forget: () => import("./views/forget.js"),
  overview: () => import("./views/overview.js"),
};
const main = document.getElementById("main");
let under = new AbortController();

/** Where an address leads: its view, what is named in its path, and what is asked for. */
function address() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...rest] = path.split("/");
  return { view: VIEWS[view] ? view : "search", id: plain(rest.join("/")), asked: new URLSearchParams(query) };
}

function plain(text) {
  try {
    return decodeURIComponent(text) || null;
  } catch {
    return text; // no escape sequence: somebody's own words behind the #
  }
}

async function show(moved = true) {
  under.abort();
  under = new AbortController();
  const { signal } = under;
  const { view, id, asked } = address();
  document.documentElement.dataset.ready = "false";
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  main.dataset.view = view;
  fresh(main, h("h1", { class: "unseen" }, "Loading"), loading(4));
  scrollTo(0, 0);
  try {
    const { render } = await VIEWS[view]();
    if (signal.aborted) return;
    await render({ main, id, asked, signal });
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    fresh(
      main,
      h("h1", { tabindex: "-1" }, "This did not work"),
      trouble(error, () => show()),
    );
    if (!(error instanceof Problem)) console.error(error);
  }
  if (signal.aborted) return;
  const title = main.querySelector("h1");
  document.title = `${title?.textContent || "agentmem"} · agentmem`;
  const at = document.activeElement; // a view may have put the focus where it is wanted
  if (moved && (at === main || !main.contains(at))) title?.focus({ preventScroll: true });
  document.documentElement.dataset.ready = "true";
}

/** Asks who this is; a server without tokens knows everybody who reaches it. */
async function enter() {
  document.documentElement.dataset.ready = "false";
  fresh(main, h("h1", { class: "unseen" }, "Loading"), loading(3));
  try {
    session.me = await get("me", { bare: true });
  } catch (error) {
    return error.status === 401 ? leave(session.token ? error : null) : broken(error);
  }
  document.body.dataset.signed = "yes";
  document.getElementById("leave").hidden = !session.token;
  document.getElementById("remember").hidden = !session.may("write");
  await choosing(document.getElementById("whose"), () => show());
  return show(false);
}

function broken(error) {
  fresh(main, h("h1", {}, "The memory cannot be reached"), trouble(error, enter));
  document.documentElement.dataset.ready = "true";
}

function leave(problem = null) {
  under.abort();
  session.token = null;
  session.whose = null;
  session.me = null;
  delete document.body.dataset.signed;
  document.getElementById("leave").hidden = true;
  document.getElementById("remember").hidden = true;
  fresh(document.getElementById("whose"));
  signIn(main, problem, enter);
  document.title = "Sign in · agentmem";
  document.documentElement.dataset.ready = "true";
}

const dark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

function theme(change) {
  if (change) {
    const next = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    localStorage.setItem("agentmem.theme", next);
    say(`${next} colours`);
  }
  document.getElementById("theme").setAttribute("aria-pressed", String(dark()));
}

addEventListener("hashchange", () => {
  if (session.me) show();
});
addEventListener("signedout", (event) => leave(event.detail));
document.getElementById("leave").addEventListener("click", () => leave());
document.getElementById("theme").addEventListener("click", () => theme(true));
document.getElementById("remember").addEventListener("click", () => remember(() => show(false)));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
theme(false);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme(false));
listen({ theme: () => theme(true), remember: () => session.may("write") && remember(() => show(false)) });
enter();
