// What several views are made of: the words of a note, its marks, bars, dialogs, and what is shown while there is nothing to show.

import { session } from "./api.js";
import { fresh, h, say } from "./dom.js";
import { KINDS, count, day, moment, part } from "./words.js";

export const noteAddress = (id) => `#/note/${encodeURIComponent(id)}`;

export const button = (words, onclick, props = {}) => h("button", { type: "button", onclick, ...props }, words);

/** Where a view begins. */
export function heading(title, words, ...more) {
  return h(
    "header",
    { class: "heading" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), words && h("p", { class: "soft" }, words)),
    ...more,
  );
}

/** A problem, with its cure. */
export function trouble(problem, again) {
  return h(
    "div",
    { class: "trouble", role: "alert" },
    h("p", {}, h("strong", {}, problem.message)),
    problem.hint && h("p", { class: "soft" }, "What helps: ", h("code", {}, problem.hint)),
    problem.request && h("p", { class: "tiny soft" }, `request ${problem.request}`),
    again && button("Try again", again),
  );
}

/** Nothing is there yet. */
export const empty = (title, words, ...more) =>
  h("div", { class: "empty" }, h("p", { class: "title" }, title), words && h("p", { class: "soft" }, words), ...more);

/** Something is on its way, in the room that it will take. */
export function loading(lines = 3) {
  return h(
    "div",
    { class: "waiting", role: "status" },
    h("span", { class: "unseen" }, "Loading …"),
    Array.from({ length: lines }, () => h("div", { class: "bone", "aria-hidden": "true" })),
  );
}

/** Fills a place with what was awaited; with its problem where there is one. */
export async function into(place, work, lines) {
  if (!place.firstElementChild || place.querySelector(".trouble")) fresh(place, loading(lines)); // what is there stays until there is something else
  place.setAttribute("aria-busy", "true");
  try {
    const made = await work();
    fresh(place, made);
  } catch (error) {
    if (error.name === "AbortError") return;
    fresh(
      place,
      trouble(error, () => into(place, work, lines)),
    );
    if (!error.hint && !error.status) throw error;
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/** What is to be known of a note before it is believed. */
export function marks(note, newer = []) {
  const now = Date.now();
  const over = note.valid_to && new Date(note.valid_to) <= now;
  const later = !over && note.valid_to;
  const ended = note.facts?.filter((fact) => fact.valid_to).length ?? 0;
  return h(
    "span",
    { class: "marks" },
    over && h("span", { class: "mark over" }, `over since ${day(note.valid_to)}`),
    later && h("span", { class: "mark" }, `until ${day(note.valid_to)}`),
    !over && ended > 0 && h("span", { class: "mark over" }, `${count(ended, "fact")} of it over`),
    newer.length > 0 && h("a", { class: "mark newer", href: noteAddress(newer[0]) }, "a newer note says otherwise"),
    note.user === null &&
      note.agent === null &&
      (session.whose?.user || session.whose?.agent || session.me?.user || session.me?.agent) &&
      h("span", { class: "mark" }, "shared by everybody"),
    note.archived && h("span", { class: "mark" }, "faded"),
    note.trust !== undefined && note.trust < 0.5 && h("span", { class: "mark over" }, "not much trusted"),
    note.version > 1 && h("span", { class: "mark" }, `version ${note.version}`),
  );
}

/** Who, when, where from. */
export function about(note) {
  return h(
    "span",
    { class: "about" },
    note.actor && h("b", {}, note.actor),
    h("time", { datetime: note.occurred_at, title: moment(note.occurred_at) }, day(note.occurred_at)),
    note.kind !== "episodic" && h("span", {}, KINDS[note.kind] ?? note.kind),
    note.session && h("a", { href: `#/conversations?name=${encodeURIComponent(note.session)}` }, note.session),
    note.source && h("span", {}, `from ${note.source}`),
    note.tags.map((tag) => h("span", { class: "tag" }, tag)),
  );
}

/** The words, with the passage that came nearest marked. */
export function wording(content, passage) {
  const at = passage ? content.indexOf(passage) : -1;
  if (at < 0 || passage.length === content.length) return [content];
  return [content.slice(0, at), h("mark", {}, passage), content.slice(at + passage.length)];
}

/** A bar of a share, beside its number. */
export const bar = (share, kind = "") =>
  h(
    "span",
    { class: `bar ${kind}`, "aria-hidden": "true" },
    h("span", { style: { width: `${Math.max(0, Math.min(1, share)) * 100}%` } }),
  );

/** What a score is made of, the largest first. */
export function scoreParts(reasons, largest, named = part) {
  const found = Object.entries(reasons)
    .filter(([, value]) => Math.abs(value) >= 0.005)
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  return h(
    "ul",
    { class: "parts" },
    found.map(([name, value]) => {
      const [words, meaning] = named(name);
      return h(
        "li",
        { title: meaning || undefined },
        h("span", { class: "name" }, words),
        bar(Math.abs(value) / largest, value < 0 ? "less" : ""),
        h("span", { class: "value" }, `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`),
      );
    }),
  );
}

/** A dialog over the page; its promise is kept with the value of the button that closed it. */
export function dialog(title, content, buttons) {
  return new Promise((done) => {
    const label = `dialog-${Math.random().toString(36).slice(2)}`;
    const box = h(
      "dialog",
      { "aria-labelledby": label },
      h(
        "form",
        {
          method: "dialog",
          onsubmit: (event) => {
            event.preventDefault();
            box.close(event.submitter?.value ?? "");
          },
        },
        h("h2", { id: label }, title),
        content,
        h("div", { class: "row end" }, buttons),
      ),
    );
    box.addEventListener("close", () => {
      done(box.returnValue);
      box.remove();
    });
    box.addEventListener("click", (event) => {
      if (event.target === box) box.close("");
    });
    document.body.append(box);
    box.showModal();
  });
}

/** A word at the lower edge, which goes by itself. */
export function toast(words) {
  document.querySelector(".toast")?.remove();
  const made = h("div", { class: "toast", "aria-hidden": "true" }, words);
  document.body.append(made);
  say(words);
  setTimeout(() => made.remove(), 4500);
}

/** A field with its label. */
export const field = (label, control, hint) =>
  h(
    "label",
    { class: "field" },
    h("span", { class: "label" }, label),
    control,
    hint && h("span", { class: "tiny soft" }, hint),
  );
export const choice = (options, value, props = {}) =>
  h(
    "select",
    props,
    options.map(([each, words]) => h("option", { value: each, selected: each === (value ?? "") }, words)),
  );

/** A section of a view. */
export const section = (title, words, ...content) =>
  h("section", { class: "block" }, h("h2", {}, title), words && h("p", { class: "soft lead" }, words), ...content);
