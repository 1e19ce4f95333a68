// What is in the memory, what is due, and whether everything agrees with the notes.

import { get, post, session } from "../api.js";
import { fresh, h } from "../dom.js";
import { bar, button, empty, heading, into, noteAddress, section } from "../parts.js";
import { bytes, count, KINDS, moment, number, percent, short } from "../words.js";

const SIGNS = { ok: "fine", warn: "worth a look", fail: "does not work" };

/** A part of the answer that this token may not have is left out. */
async function perhaps(work) {
  try {
    return await work;
  } catch (error) {
    if (error.status === 403) return null;
    throw error;
  }
}

export async function render({ main, signal }) {
  const admin = session.may("admin");
  const [told, weights, stats, past] = await Promise.all([
    get("overview", { signal }),
    get("consolidation/status", { signal }),
    admin ? perhaps(get("stats", { signal })) : null,
    admin ? perhaps(get("consolidation/past", { signal })) : null,
  ]);
  const check = h("div", {});
  const machine = h("div", {});
  const sections = [
    figures(told, weights, stats),
    h("div", { class: "two" }, due(told, weights, stats), held(told)),
    faint(told),
    past && runs(past.jobs),
    stats && checks(check, signal),
    stats && section("The server's machine", "What it has and what it lacks, as agentmem doctor says it.", machine),
    admin &&
      !stats &&
      h("p", { class: "notice" }, "The figures of the whole memory need a token for anyone, with the right admin."),
  ];
  fresh(
    main,
    heading(
      "Overview",
      told.looked_at < told.notes ? `Counts are of the newest ${number(told.looked_at)} notes.` : null,
    ),
    sections,
  );
  if (stats) await into(machine, () => doctor(signal), 2);
}

function figures(told, weights, stats) {
  const found = [
    [number(told.notes), told.notes === 1 ? "note" : "notes"],
    [number(told.links), "links"],
    [number(told.sessions), "conversations"],
    [number(told.ended), "over"],
    [number(told.archived), "faded"],
    [number(weights.edits), "edits in the weights"],
    ...(stats?.bytes ? [[bytes(stats.bytes), "on disk"]] : []),
  ];
  return h(
    "dl",
    { class: "figures" },
    found.map(([value, words]) => h("div", {}, h("dt", {}, words), h("dd", {}, value))),
  );
}

function due(told, weights, stats) {
  const lines = [
    [told.due, "remembered with less than 90 %", "#/overview", false],
    [weights.waiting.length, "ready to go into the weights", "#/weights", false],
    [weights.stale.length + weights.contradicted.length, "edits that the notes have overtaken", "#/weights", true],
    [weights.unserved.length + weights.stray.length, "edits and packs that do not agree", "#/weights", true],
    ...(stats
      ? [
          [stats.enrichment?.outstanding ?? 0, "not yet seen by a language model", null, false],
          [stats.outbox ?? 0, "waiting for the index", null, false],
        ]
      : []),
  ].filter(([of]) => of > 0);
  return section(
    "What is due",
    null,
    lines.length
      ? h(
          "ul",
          { class: "todo" },
          lines.map(([of, words, where, warn]) =>
            h(
              "li",
              { class: warn ? "warn" : "" },
              h("span", { class: "sign", "aria-hidden": "true" }),
              h(
                "span",
                {},
                h("b", {}, number(of)),
                " ",
                where && where !== "#/overview" ? h("a", { href: where }, words) : words,
              ),
            ),
          ),
        )
      : empty("Nothing", "No edit is adrift, and every note is well remembered."),
  );
}

function held(told) {
  const most = Math.max(1, ...Object.values(told.kinds), ...Object.values(told.link_kinds));
  const rows = (of, names) =>
    h(
      "ul",
      { class: "bars" },
      Object.entries(of).map(([name, value]) =>
        h("li", {}, h("span", {}, names[name] ?? name), bar(value / most), h("b", {}, number(value))),
      ),
    );
  return section(
    "What there is",
    null,
    h(
      "div",
      { class: "stack" },
      h("div", {}, h("h3", {}, "Notes"), rows(told.kinds, KINDS)),
      Object.keys(told.link_kinds).length > 0 && h("div", {}, h("h3", {}, "Links"), rows(told.link_kinds, {})),
    ),
  );
}

function faint(told) {
  if (!told.faintest.length) return null;
  return section(
    "Remembered least",
    "They are found all the same; a use makes them last.",
    h(
      "ul",
      { class: "links" },
      told.faintest.map((each) =>
        h(
          "li",
          { "data-stop": true },
          h("a", { class: "said small", href: noteAddress(each.id) }, short(each.content, 120)),
          h("p", { class: "tiny soft" }, bar(each.retrievability), percent(each.retrievability)),
        ),
      ),
    ),
  );
}

function runs(jobs) {
  if (!jobs.length) return null;
  return section(
    "Consolidations",
    null,
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Consolidations" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "when"),
            ["went in", "rolled back", "came out"].map((each) => h("th", { scope: "col", class: "figure" }, each)),
          ),
        ),
        h(
          "tbody",
          {},
          jobs
            .slice(-8)
            .reverse()
            .map((each) =>
              h(
                "tr",
                {},
                h("td", {}, moment(each.at)),
                [each.promoted, each.failed, each.demoted].map((of) => h("td", { class: "figure" }, String(of))),
              ),
            ),
        ),
      ),
    ),
  );
}

function checks(place, signal) {
  const look = (deep) =>
    into(
      place,
      async () => {
        const told = await post("check", { deep }, { signal });
        return h(
          "ul",
          { class: "todo" },
          told.ok &&
            h(
              "li",
              {},
              h("span", { class: "sign", "aria-hidden": "true" }),
              h("span", {}, "Every projection agrees with the notes."),
            ),
          told.problems.map((each) =>
            h(
              "li",
              {},
              h("span", { class: "sign fail", "aria-hidden": "true" }),
              h("span", {}, h("span", { class: "unseen" }, "problem: "), each),
            ),
          ),
          told.notices.map((each) =>
            h("li", {}, h("span", { class: "sign warn", "aria-hidden": "true" }), h("span", {}, each)),
          ),
          h(
            "li",
            {},
            h("span", { class: "sign none", "aria-hidden": "true" }),
            h(
              "span",
              { class: "soft" },
              Object.entries(told.counts)
                .map(([name, of]) => `${name} ${number(of)}`)
                .join(", "),
            ),
          ),
        );
      },
      1,
    );
  place.setAttribute("aria-live", "polite");
  return section(
    "Does everything agree?",
    "Compares every projection with the notes: words, vectors, links, the index.",
    h(
      "div",
      { class: "row" },
      button("Check", () => look(false)),
      button("Check all of it", () => look(true)),
    ),
    place,
  );
}

async function doctor(signal) {
  const { checks: found } = await get("doctor", { signal });
  const order = { fail: 0, warn: 1, ok: 2 };
  const sorted = [...found].sort((a, b) => order[a.status] - order[b.status]);
  const rows = (of) =>
    h(
      "ul",
      { class: "todo" },
      of.map((each) =>
        h(
          "li",
          {},
          h("span", { class: `sign ${each.status}`, "aria-hidden": "true" }),
          h(
            "span",
            {},
            h("b", {}, each.name),
            h("span", { class: "unseen" }, ` ${SIGNS[each.status]}:`),
            h("span", { class: "soft" }, ` ${each.detail}`),
            each.fix && h("span", { class: "tiny" }, h("br", {}), "What helps: ", h("code", {}, each.fix)),
          ),
        ),
      ),
    );
  const bad = sorted.filter((each) => each.status !== "ok");
  const fine = sorted.filter((each) => each.status === "ok");
  return [
    bad.length > 0 && rows(bad),
    h(
      "details",
      { open: !bad.length },
      h("summary", {}, `${count(fine.length, "thing")} as ${fine.length === 1 ? "it" : "they"} should be`),
      rows(fine),
    ),
  ];
}
