// Search, with the parts of every score; without a query, what came last.

import { get, notesById, post } from "../api.js";
import { fresh, h, paused, put, say } from "../dom.js";
import {
  about,
  button,
  choice,
  empty,
  field,
  heading,
  into,
  marks,
  noteAddress,
  scoreParts,
  wording,
} from "../parts.js";
import { KINDS, count, short } from "../words.js";

const PAGE = 10;
const FILTERS = ["kind", "from", "to", "asof", "faded"];

export async function render({ main, asked, signal }) {
  const query = h("input", {
    type: "search",
    name: "q",
    value: asked.get("q") ?? "",
    placeholder: "Where does Ana live?",
    autocomplete: "off",
    "aria-label": "Search the notes",
    enterkeyhint: "search",
  });
  const controls = {
    kind: choice([["", "any"], ...Object.entries(KINDS)], asked.get("kind"), { name: "kind" }),
    from: h("input", { type: "date", value: asked.get("from") ?? "" }),
    to: h("input", { type: "date", value: asked.get("to") ?? "" }),
    asof: h("input", { type: "date", value: asked.get("asof") ?? "" }),
    faded: h("input", { type: "checkbox", checked: asked.get("faded") === "yes" }),
  };
  const found = h("div", { class: "found" });
  const used = FILTERS.filter((name) => asked.get(name)).length;
  const filters = h(
    "details",
    { class: "filters", open: used > 0 },
    h("summary", {}, "Filters"),
    h(
      "div",
      { class: "fields" },
      field("Kind", controls.kind),
      field("Happened from", controls.from),
      field("until", controls.to),
      field("As it was on", controls.asof),
      h("label", { class: "check" }, controls.faded, h("span", {}, "Faded notes, too")),
    ),
  );
  const form = h(
    "form",
    {
      class: "search",
      role: "search",
      onsubmit: (event) => {
        event.preventDefault();
        look();
      },
    },
    h(
      "div",
      { class: "box" },
      h("span", { class: "glass", "aria-hidden": "true" }),
      query,
      h("button", { type: "submit", class: "main" }, "Search"),
    ),
    filters,
  );

  let latest = 0;
  const look = async () => {
    const wanted = read(query, controls);
    const address = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value)).toString();
    history.replaceState(null, "", `#/search${address ? `?${address}` : ""}`);
    latest += 1;
    const mine = latest;
    await into(
      found,
      async () => {
        const made = wanted.q ? await hits(wanted, signal) : await browse(wanted, signal);
        if (mine !== latest) throw new DOMException("overtaken", "AbortError");
        return made;
      },
      4,
    );
  };
  const soon = paused(look);
  query.addEventListener("input", soon);
  for (const control of Object.values(controls)) control.addEventListener("change", look);

  fresh(main, h("h1", { class: "unseen", tabindex: "-1" }, "Search"), form, found);
  await look();
  if (!matchMedia("(pointer: coarse)").matches) query.focus({ preventScroll: true });
}

function read(query, controls) {
  return {
    q: query.value.trim(),
    kind: controls.kind.value,
    from: controls.from.value,
    to: controls.to.value,
    asof: controls.asof.value,
    faded: controls.faded.checked ? "yes" : "",
  };
}

/** Conditions on fields, and the moment that is asked about. */
function conditions({ kind, from, to, asof }) {
  const where = {};
  if (kind) where.kind = kind;
  if (from || to) where.occurred_at = { ...(from && { $gte: midnight(from) }), ...(to && { $lt: midnight(to, 1) }) };
  return { where: Object.keys(where).length ? where : undefined, as_of: asof ? midnight(asof, 1) : undefined };
}

function midnight(date, later = 0) {
  const at = new Date(`${date}T00:00:00`);
  at.setDate(at.getDate() + later);
  return at.toISOString();
}

async function hits(wanted, signal) {
  const list = h("ol", { class: "cards" });
  const more = h("div", { class: "row" });
  const seen = new Map();
  let largest = 0.001;
  const next = async (offset) => {
    const told = await post(
      "recall",
      { query: wanted.q, k: PAGE, offset, faded: wanted.faded === "yes", ...conditions(wanted) },
      { signal },
    );
    for (const each of told.hits) {
      seen.set(each.note.id, each.note);
      largest = Math.max(largest, ...Object.values(each.reasons).map(Math.abs));
    }
    const others = [...new Set(told.hits.flatMap((each) => via(each)))].filter((each) => !seen.has(each));
    for (const note of await notesById(others, signal)) seen.set(note.id, note);
    put(
      list,
      told.hits.map((each) => card(each.note, each, largest, seen)),
    );
    fresh(
      more,
      told.hits.length === PAGE &&
        button("More", async (event) => {
          event.target.disabled = true;
          const first = list.children.length;
          await next(offset + PAGE);
          list.children[first]?.querySelector("a")?.focus();
        }),
    );
    return told;
  };
  const told = await next(0);
  say(told.hits.length ? `${count(told.hits.length, "note")} found` : "Nothing found");
  if (!told.hits.length) return empty("Nothing fits", "Other words may; or fewer filters.");
  return [
    told.degraded &&
      h(
        "p",
        { class: "notice" },
        "A part of the index was missing, so this was found by a slower way. ",
        told.warnings.join(" "),
      ),
    list,
    more,
  ];
}

async function browse(wanted, signal) {
  const given = conditions(wanted);
  if (given.where || given.as_of || wanted.faded) {
    const { notes, next } = await get("notes", {
      query: {
        where: given.where && JSON.stringify(given.where),
        as_of: given.as_of,
        faded: wanted.faded === "yes",
        limit: 50,
      },
      signal,
    });
    if (!notes.length) return empty("Nothing fits", "Fewer filters may help.");
    return [
      h("h2", { class: "quietly" }, next ? "The first 50 that fit" : count(notes.length, "note")),
      h(
        "ol",
        { class: "cards" },
        notes.map((note) => card(note)),
      ),
    ];
  }
  const { notes, more } = await get("newest", { signal });
  if (!notes.length) {
    return empty(
      "Nothing is remembered yet",
      "Tell it something, or have an agent do so: what is stored here is found by meaning, words and links.",
      h(
        "p",
        {},
        button("Remember something", () => document.getElementById("remember").click(), { class: "main" }),
      ),
    );
  }
  return [
    h(
      "h2",
      { class: "quietly" },
      more ? "The latest notes" : count(notes.length, "note"),
    ),
    h(
      "ol",
      { class: "cards" },
      notes.map((note) => card(note)),
    ),
  ];
}

/** The neighbours that lifted a hit most. */
const via = (hit) => hit.via.filter((each) => each !== hit.note.id).slice(0, 2);

function card(note, hit, largest, seen) {
  return h(
    "li",
    { class: "card", "data-stop": true },
    h(
      "div",
      { class: "words" },
      h("a", { class: "said", href: noteAddress(note.id) }, wording(note.content, hit?.passage)),
      h("div", { class: "under" }, about(note), marks(note, hit?.newer)),
    ),
    hit && h("p", { class: "score" }, h("b", {}, hit.score.toFixed(2)), h("span", { class: "soft" }, "score")),
    hit &&
      h(
        "div",
        { class: "why" },
        scoreParts(hit.reasons, largest),
        via(hit).length > 0 &&
          h(
            "p",
            { class: "soft" },
            "lifted by ",
            via(hit).map((each, place) => [
              place > 0 && " and ",
              h(
                "a",
                { href: noteAddress(each) },
                seen.has(each) ? `“${short(seen.get(each).content, 44)}”` : "a linked note",
              ),
            ]),
          ),
      ),
  );
}
