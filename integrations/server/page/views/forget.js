// Forgetting: choose, see what would go and from where, confirm, and read the receipt.

import { notesById, post, session } from "../api.js";
import { fresh, h, put, say } from "../dom.js";
import { about, button, choice, dialog, empty, field, heading, into, marks, section } from "../parts.js";
import { KINDS, count } from "../words.js";

const SHOWN = 50;

export async function render({ main, asked, signal }) {
  if (!session.may("forget")) {
    fresh(
      main,
      heading("Forget"),
      empty(
        "This token may not forget",
        "Whoever runs the server can make one that may: agentmem serve token add --right forget.",
      ),
    );
    return;
  }
  const stage = h("div", { class: "stage" });
  const begin = () => fresh(stage, chooser(stage, begin, asked, signal));
  fresh(
    main,
    heading(
      "Forget",
      "A note leaves every place it lies in: its row, the full text, vectors, links, what was derived from it, and the model's weights.",
    ),
    stage,
  );
  const ids = asked.getAll("id");
  if (ids.length) await preview(stage, { ids }, begin, signal);
  else if (asked.get("session")) await preview(stage, { where: { session: asked.get("session") } }, begin, signal);
  else begin();
}

/** Which notes: picked one by one, or all that fit a filter. */
function chooser(stage, begin, asked, signal) {
  const way = asked.get("by") === "filter" ? "filter" : "pick";
  const place = h("div", { class: "stack wide" });
  const turn = (to) => fresh(place, to === "pick" ? picker(stage, begin, signal) : filter(stage, begin, signal));
  const option = (value, words) =>
    h(
      "label",
      { class: "segment" },
      h("input", { type: "radio", name: "way", value, checked: value === way, onchange: () => turn(value) }),
      h("span", {}, words),
    );
  turn(way);
  return [
    h(
      "fieldset",
      { class: "segments" },
      h("legend", { class: "unseen" }, "Which notes"),
      option("pick", "Notes that I pick"),
      option("filter", "All that fit a filter"),
    ),
    place,
  ];
}

function picker(stage, begin, signal) {
  const query = h("input", {
    type: "search",
    "aria-label": "Find the notes to forget",
    placeholder: "What is it about?",
    autocomplete: "off",
  });
  const list = h("div", {});
  const picked = new Set();
  const go = button("Look at what would go", () => preview(stage, { ids: [...picked] }, begin, signal), {
    class: "main",
    disabled: true,
  });
  const look = async (event) => {
    event.preventDefault();
    if (!query.value.trim()) return;
    await into(list, async () => {
      const { hits } = await post("recall", { query: query.value.trim(), k: 15, faded: true }, { signal });
      if (!hits.length) return empty("Nothing fits", "Other words may.");
      return h(
        "ul",
        { class: "picks" },
        hits.map(({ note }) => {
          const box = h("input", {
            type: "checkbox",
            checked: picked.has(note.id),
            onchange: () => {
              if (box.checked) picked.add(note.id);
              else picked.delete(note.id);
              go.disabled = !picked.size;
              go.textContent = picked.size ? `Look at what would go (${picked.size})` : "Look at what would go";
            },
          });
          return h(
            "li",
            {},
            h(
              "label",
              {},
              box,
              h(
                "span",
                {},
                h("span", { class: "said small" }, note.content),
                h("span", { class: "under" }, aboutPlain(note)),
              ),
            ),
          );
        }),
      );
    });
  };
  return [
    h(
      "form",
      { class: "search", role: "search", onsubmit: look },
      h(
        "div",
        { class: "box" },
        h("span", { class: "glass", "aria-hidden": "true" }),
        query,
        h("button", { type: "submit" }, "Find"),
      ),
    ),
    list,
    h("div", { class: "row" }, go),
  ];
}

/** Who and when, without links: a label is one thing to press. */
const aboutPlain = (note) =>
  h(
    "span",
    { class: "about" },
    note.actor && h("b", {}, note.actor),
    h("span", {}, note.occurred_at.slice(0, 10)),
    note.session && h("span", {}, note.session),
  );

function filter(stage, begin, signal) {
  const text = (name, placeholder) => h("input", { type: "text", name, placeholder, autocomplete: "off" });
  const fields = {
    session: text("session", "monday"),
    actor: text("actor", "ana"),
    tags: text("tag", "work"),
    source: text("source", "web"),
    kind: choice([["", "any"], ...Object.entries(KINDS)], "", { name: "kind" }),
    from: h("input", { type: "date", name: "from" }),
    to: h("input", { type: "date", name: "to" }),
  };
  const told = h("div", {});
  const look = (event) => {
    event.preventDefault();
    const where = {};
    for (const name of ["session", "actor", "source", "kind"])
      if (fields[name].value.trim()) where[name] = fields[name].value.trim();
    if (fields.tags.value.trim()) where.tags = { $contains: fields.tags.value.trim() };
    if (fields.from.value || fields.to.value) {
      where.occurred_at = {
        ...(fields.from.value && { $gte: edge(fields.from.value) }),
        ...(fields.to.value && { $lt: edge(fields.to.value, 1) }),
      };
    }
    if (!Object.keys(where).length) {
      fresh(
        told,
        h(
          "p",
          { class: "notice", role: "alert" },
          "Give one condition at least: without any, this would be everything.",
        ),
      );
      fields.session.focus();
      return;
    }
    preview(stage, { where }, begin, signal);
  };
  return h(
    "form",
    { onsubmit: look },
    h(
      "div",
      { class: "fields wide" },
      field("Conversation", fields.session),
      field("Said by", fields.actor),
      field("Tag", fields.tags),
      field("Source", fields.source),
      field("Kind", fields.kind),
      field("Happened from", fields.from),
      field("until", fields.to),
    ),
    told,
    h("div", { class: "row" }, h("button", { class: "main", type: "submit" }, "Look at what would go")),
  );
}

function edge(date, later = 0) {
  const at = new Date(`${date}T00:00:00`);
  at.setDate(at.getDate() + later);
  return at.toISOString();
}

/** A dry run: the notes, what goes with them, and the places. What is confirmed then is these notes, whatever a filter fits by that time. */
async function preview(stage, what, begin, signal) {
  fresh(stage);
  await into(
    stage,
    async () => {
      const told = await post("forget", { ...what, dry_run: true }, { signal });
      if (!told.ids.length)
        return [
          empty("Nothing fits", "So nothing would be forgotten."),
          h("div", { class: "row" }, button("Choose again", begin)),
        ];
      const notes = await notesById(told.ids.slice(0, SHOWN), signal);
      const derived = told.derived.length ? await notesById(told.derived.slice(0, SHOWN), signal) : [];
      return [
        section(
          `${count(told.ids.length, "note")} would be forgotten`,
          "Nothing has been removed yet.",
          h(
            "ul",
            { class: "doomed" },
            notes.map((note) =>
              h(
                "li",
                {},
                h("span", { class: "said small" }, note.content),
                h("span", { class: "under" }, about(note), marks(note)),
              ),
            ),
          ),
          told.ids.length > notes.length &&
            h("p", { class: "soft" }, `and ${count(told.ids.length - notes.length, "more")}`),
        ),
        told.derived.length > 0 &&
          section(
            "What was made of them goes, too",
            null,
            h(
              "ul",
              { class: "doomed" },
              derived.map((note) => h("li", {}, h("span", { class: "said small" }, note.content))),
            ),
          ),
        section(
          "From these places",
          null,
          placesList(told.places),
          told.edits.length > 0 && h("p", {}, `${count(told.edits.length, "edit")} would leave the model's weights.`),
        ),
        warnings(told),
        h(
          "div",
          { class: "row end sticky" },
          button("Choose again", begin),
          button(`Forget ${count(told.ids.length, "note")}`, () => confirm(stage, told, begin, signal), {
            class: "main danger",
          }),
        ),
      ];
    },
    5,
  );
  stage.querySelector("h2")?.scrollIntoView({ block: "nearest" });
}

const placesList = (places) =>
  h(
    "ul",
    { class: "places" },
    Object.entries(places)
      .sort((a, b) => (b[1] > 0) - (a[1] > 0))
      .map(([place, of]) => h("li", { class: of ? "" : "none" }, h("span", {}, place), h("b", {}, String(of)))),
  );
const warnings = (told) => told.warnings.map((each) => h("p", { class: "notice" }, each));

async function confirm(stage, told, begin, signal) {
  const many = told.ids.length > 20;
  const typed = h("input", {
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": `Type ${told.ids.length} to confirm`,
  });
  const sure = h("button", { class: "main danger", value: "yes", disabled: many }, "Forget for good");
  typed.addEventListener("input", () => {
    sure.disabled = typed.value.trim() !== String(told.ids.length);
  });
  const how = await dialog(
    `Forget ${count(told.ids.length, "note")}?`,
    [
      h(
        "p",
        {},
        told.ids.length === 1
          ? "It cannot be brought back from here. A backup that was made before still holds it."
          : "They cannot be brought back from here. A backup that was made before still holds them.",
      ),
      many && field(`Type ${told.ids.length} to confirm`, typed),
    ],
    [h("button", { value: "", autofocus: !many }, told.ids.length === 1 ? "Keep it" : "Keep them"), sure],
  );
  if (how !== "yes") return;
  fresh(stage);
  await into(stage, async () => receipt(await post("forget", { ids: told.ids }, { signal }), begin), 6);
  const title = stage.querySelector("h2");
  title?.setAttribute("tabindex", "-1");
  title?.focus();
  say(title?.textContent ?? "");
}

/** What was removed, place by place, and the probes that looked for it afterwards. */
function receipt(told, begin) {
  const probes = Object.entries(told.probes);
  const place = h(
    "div",
    { class: "receipt" },
    section(
      told.gone
        ? `${count(told.ids.length, "note")} forgotten, and found gone everywhere`
        : `${count(told.ids.length, "note")} forgotten; a probe still found something`,
      null,
      h("p", { class: "stamp", "data-gone": told.gone ? "yes" : "no" }, told.gone ? "gone" : "look again"),
      h(
        "div",
        { class: "two" },
        h("div", {}, h("h3", {}, "Removed from"), placesList(told.places)),
        h(
          "div",
          {},
          h("h3", {}, `Looked for afterwards in ${count(probes.length, "place")}`),
          h(
            "ul",
            { class: "probes" },
            probes.map(([name, gone]) =>
              h(
                "li",
                { class: gone ? "gone" : "left" },
                h("span", { "aria-hidden": "true" }, gone ? "✓" : "✗"),
                h("span", {}, name),
                h("span", { class: "unseen" }, gone ? "gone" : "still there"),
              ),
            ),
          ),
        ),
      ),
      told.derived.length > 0 &&
        h(
          "p",
          {},
          `With them went ${count(told.derived.length, "note")} that ${told.derived.length === 1 ? "was" : "were"} made of them.`,
        ),
      told.edits.length > 0 && h("p", {}, `${count(told.edits.length, "edit")} left the model's weights.`),
      h(
        "p",
        { class: "tiny soft" },
        "The receipt names ids and counts, and no words: ",
        told.ids.slice(0, 3).join(", "),
        told.ids.length > 3 && ` and ${told.ids.length - 3} more`,
      ),
    ),
    warnings(told),
  );
  return put(
    place,
    h(
      "div",
      { class: "row" },
      button("Save the receipt", () => save(told)),
      button("Forget something else", begin),
      h("a", { class: "button", href: "#/search" }, "Back to the search"),
    ),
  );
}

function save(told) {
  const address = URL.createObjectURL(new Blob([JSON.stringify(told, null, 2)], { type: "application/json" }));
  const link = h("a", { href: address, download: "forgotten.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}
