// The life of a note: its words over time, how strongly it is remembered, what it states, what it is linked with, and where it lies.

import { ask, get, id as path, session } from "../api.js";
import { curveFigure } from "../curve.js";
import { difference } from "../diff.js";
import { fresh, h } from "../dom.js";
import { about, bar, button, dialog, empty, field, marks, noteAddress, section, toast, trouble } from "../parts.js";
import { count, day, days, moment, percent, short, span } from "../words.js";

export async function render({ main, id, signal }) {
  if (!id) {
    location.hash = "#/search";
    return;
  }
  const [life, around, written] = await Promise.all([
    get(`notes/${path(id)}/life`, { query: { points: 120 }, signal }),
    get("graph", { query: { around: id, hops: 1, limit: 200 }, signal }),
    outcomes(id, signal),
  ]);
  const others = new Map(around.notes.map((each) => [each.id, each]));
  const { note } = life;
  const again = () => render({ main, id, signal });
  fresh(
    main,
    h(
      "header",
      { class: "life" },
      h("p", { class: "quietly" }, "A note's life"),
      h("h1", { tabindex: "-1", class: "said" }, note.content),
      h("div", { class: "under" }, about(note), marks(note)),
      h(
        "div",
        { class: "row" },
        h("a", { class: "button", href: `#/graph?around=${path(id)}` }, "In the graph"),
        session.may("write") && button("Change", () => change(note, again)),
        button("Why is it not found?", () => whyNot(note)),
        session.may("forget") && h("a", { class: "button danger", href: `#/forget?id=${path(id)}` }, "Forget …"),
      ),
    ),
    remembered(life),
    h("div", { class: "two" }, stated(note, life), worded(life)),
    linked(life, others, id),
    h("div", { class: "two" }, asked(life), learnt(life, written)),
    places(life),
  );
}

function remembered({ note, curve, history, evidence }) {
  const events = [
    { at: note.created_at, kind: "stored", words: "remembered" },
    ...history.slice(1).map((each) => ({ at: each.changed_at, kind: "reworded", words: "changed" })),
    ...evidence.map((each) => ({ at: each.at, kind: "used", words: `asked: ${short(each.question, 60)}` })),
    ...(curve.recalls ? [{ at: curve.last_review, kind: "used", words: "last used" }] : []),
  ];
  const figures = [
    [percent(curve.retrievability), "remembered now"],
    [days(curve.stability_days), "from a use to 90 %"],
    [String(curve.recalls), curve.recalls === 1 ? "use" : "uses"],
    [note.importance.toFixed(2), "importance"],
  ];
  const kinds = [
    ["stored", "remembered"],
    ["used", "used"],
    ["reworded", "changed"],
  ].filter(([kind]) => events.some((each) => each.kind === kind));
  return section(
    "How strongly it is remembered",
    null,
    h(
      "dl",
      { class: "figures" },
      figures.map(([value, words]) => h("div", {}, h("dt", {}, words), h("dd", {}, value))),
    ),
    curveFigure(curve, events, [
      `The curve ${curve.name}, from its last use on`,
      h(
        "span",
        { class: "legend" },
        kinds.map(([kind, words]) => h("span", {}, h("i", { class: `tick ${kind}`, "aria-hidden": "true" }), words)),
      ),
    ]),
  );
}

function stated(note, { curve }) {
  if (!note.facts.length)
    return section(
      "What it states",
      null,
      empty("No fact was read off it", "It is found by its words and its meaning all the same."),
    );
  const now = Date.parse(curve.now);
  return section(
    "What it states",
    null,
    h(
      "ul",
      { class: "facts" },
      note.facts.map((fact) => {
        const from = fact.valid_from ?? note.valid_from;
        const to = [fact.valid_to, note.valid_to].filter(Boolean).sort()[0];
        const over = to && Date.parse(to) <= now;
        return h(
          "li",
          { class: over ? "over" : "" },
          h("p", { class: "triple" }, h("b", {}, fact.subject), h("span", {}, fact.relation), h("b", {}, fact.object)),
          h(
            "p",
            { class: "tiny soft" },
            over ? "held " : "holds ",
            from && to
              ? span(from, to)
              : from
                ? `since ${day(from)}`
                : to
                  ? `until ${day(to)}`
                  : "as long as the note does",
            fact.ended_by && [", ended by ", h("a", { href: noteAddress(fact.ended_by) }, "a newer note")],
          ),
        );
      }),
    ),
  );
}

function worded({ history }) {
  const latest = [...history].reverse();
  return section(
    "Its words over time",
    null,
    h(
      "ol",
      { class: "versions" },
      latest.map((each, place) => {
        const before = latest[place + 1];
        return h(
          "li",
          {},
          h(
            "p",
            { class: "tiny soft" },
            place === 0 ? "now" : `version ${each.version}`,
            " · ",
            h("time", { datetime: each.changed_at }, moment(each.changed_at)),
            each.reason && ` · ${each.reason}`,
          ),
          h("p", { class: "said small" }, before ? difference(before.content, each.content) : each.content),
        );
      }),
    ),
  );
}

function linked({ links }, others, id) {
  const sorted = [...links].sort((a, b) => b.weight - a.weight);
  if (!sorted.length)
    return section(
      "Linked with",
      null,
      empty("Nothing yet", "Links come from shared words, from what was said next, and from being used together."),
    );
  return section(
    `Linked with ${count(new Set(sorted.flatMap((each) => [each.source, each.target])).size - 1, "note")}`,
    null,
    h(
      "ul",
      { class: "links" },
      sorted.slice(0, 40).map((each) => {
        const other = each.source === id ? each.target : each.source;
        const words = others.get(other)?.content;
        return h(
          "li",
          { "data-stop": true },
          h(
            "a",
            { class: "said small", href: noteAddress(other) },
            words ? short(words, 160) : "a note that is not shown here",
          ),
          h(
            "p",
            { class: "tiny soft" },
            h("span", { class: `kind ${each.kind}` }, each.kind),
            bar(each.weight),
            each.weight.toFixed(2),
            " · ",
            each.reason || each.reasons,
          ),
        );
      }),
    ),
  );
}

function asked({ evidence }) {
  if (!evidence.length) return section("What was asked", null, empty("Nothing was answered from it yet"));
  return section(
    "What was asked",
    null,
    h(
      "ul",
      { class: "asked" },
      evidence.map((each) =>
        h(
          "li",
          {},
          h("p", {}, h("q", {}, each.question)),
          h("p", {}, "→ ", each.answer),
          h(
            "p",
            { class: "tiny soft" },
            `${each.times === 1 ? "once" : `${each.times} times`}, last ${moment(each.at)}`,
          ),
        ),
      ),
    ),
  );
}

/** What the runs that the server remembers wrote of this note. */
async function outcomes(id, signal) {
  if (!session.may("consolidate")) return [];
  const { runs } = await get("consolidation/runs", { signal });
  const done = runs.filter((run) => run.state === "done" && !run.dry_run).slice(-10);
  const told = await Promise.all(done.map((run) => get(`consolidation/runs/${path(run.id)}`, { signal })));
  return told.flatMap((run) =>
    run.report.outcomes.filter((each) => each.note_id === id).map((each) => ({ ...each, at: run.ended_at })),
  );
}

function learnt({ edits }, written) {
  if (!edits.length && !written.length)
    return section(
      "In the weights",
      null,
      empty("No edit came of it", "The model learns facts that are stable and often used."),
    );
  const held = new Map(written.map((each) => [each.edit_id, each]));
  return section(
    "In the weights",
    null,
    h(
      "ul",
      { class: "asked" },
      edits.map((each) =>
        h(
          "li",
          {},
          h("p", {}, h("q", {}, each.question)),
          beforeAfter(held.get(each.id)?.before, each.answer),
          each.paraphrases.length > 0 &&
            h("p", { class: "tiny soft" }, `and ${count(each.paraphrases.length, "other wording")}`),
        ),
      ),
      written
        .filter((each) => !each.committed)
        .map((each) =>
          h(
            "li",
            { class: "over" },
            h("p", {}, h("q", {}, each.question)),
            beforeAfter(each.before, each.after),
            h("p", { class: "tiny soft" }, `rolled back: ${each.reason}`),
          ),
        ),
    ),
  );
}

export const beforeAfter = (before, after) =>
  h(
    "p",
    { class: "change" },
    before !== undefined && [h("span", { class: "soft" }, "said "), h("del", {}, before || "nothing"), " "],
    h("span", { class: "soft" }, before === undefined ? "says " : "says now "),
    h("ins", {}, after),
  );

function places({ places: found }) {
  const held = Object.entries(found).sort((a, b) => (b[1] > 0) - (a[1] > 0));
  return section(
    "Every place it lies in",
    "What forgetting it would take out, and from where.",
    h(
      "ul",
      { class: "places" },
      held.map(([place, of]) => h("li", { class: of ? "" : "none" }, h("span", {}, place), h("b", {}, String(of)))),
    ),
  );
}

async function change(note, again) {
  const words = h("textarea", { rows: "5", value: note.content, name: "content" });
  const tags = h("input", { type: "text", value: note.tags.join(", "), autocomplete: "off" });
  const importance = h("input", { type: "range", min: "0", max: "1", step: "0.05", value: String(note.importance) });
  const told = h("div", {});
  const store = async () => {
    const content = words.value.trim();
    const body = {
      tags: tags.value
        .split(",")
        .map((each) => each.trim())
        .filter(Boolean),
      importance: Number(importance.value),
    };
    if (content !== note.content) body.content = content;
    try {
      await ask("PATCH", `notes/${path(note.id)}`, { body });
      words.closest("dialog").close("stored");
    } catch (error) {
      fresh(told, trouble(error));
    }
  };
  const how = await dialog(
    "Change this note",
    [
      h(
        "div",
        { class: "stack" },
        field("Its words", words, "What it said before stays in its history; what follows from the words follows."),
        field("Tags", tags),
        field("Importance", importance),
      ),
      told,
    ],
    [h("button", { value: "" }, "Cancel"), button("Change", store, { class: "main" })],
  );
  if (how === "stored") {
    toast("Changed.");
    await again();
  }
}

async function whyNot(note) {
  const query = h("input", {
    type: "search",
    placeholder: "the question that should have found it",
    autocomplete: "off",
  });
  const told = h("div", { class: "answered", role: "status" });
  const look = async () => {
    if (!query.value.trim()) {
      query.focus();
      return;
    }
    try {
      const found = await get(`notes/${path(note.id)}/why-not`, { query: { query: query.value.trim() } });
      fresh(
        told,
        h("p", {}, found.reason),
        found.rank &&
          h(
            "p",
            { class: "soft tiny" },
            `rank ${found.rank}, score ${found.score?.toFixed(3) ?? "–"}, the last of ten has ${found.cutoff?.toFixed(3) ?? "–"}`,
          ),
      );
    } catch (error) {
      fresh(told, trouble(error));
    }
  };
  query.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      look();
    }
  });
  await dialog(
    "Why is it not found?",
    [field("Query", query), told],
    [h("button", { value: "" }, "Close"), button("Look", look, { class: "main" })],
  );
}
