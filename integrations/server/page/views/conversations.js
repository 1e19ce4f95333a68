// Conversations: what each of them brought into the memory, turn by turn.

import { get, id as path, session } from "../api.js";
import { fresh, h } from "../dom.js";
import { button, empty, heading, into, marks, noteAddress } from "../parts.js";
import { count, day, short, span } from "../words.js";

const PAGE = 200;

export async function render({ main, asked, signal }) {
  const { sessions, left_out: left } = await get("sessions", { signal });
  const title = heading("Conversations", "What each of them brought in, turn by turn.");
  if (!sessions.length) {
    fresh(
      main,
      title,
      empty(
        "No conversation yet",
        "Notes that are stored with a session, such as the turns of a chat, are shown here as they were said.",
      ),
    );
    return;
  }
  const name = asked.get("name") ?? sessions[0].session;
  const place = h("div", { class: "stage" });
  const list = h(
    "ul",
    { class: "list", "aria-label": "Conversations" },
    sessions.map((each) =>
      h(
        "li",
        { "data-stop": true },
        h(
          "a",
          {
            href: `#/conversations?name=${encodeURIComponent(each.session)}`,
            "aria-current": each.session === name ? "page" : undefined,
          },
          h("b", {}, each.session),
          h("span", { class: "tiny soft" }, `${span(each.first_at, each.last_at)} · ${count(each.notes, "note")}`),
          h("span", { class: "tiny soft" }, short(each.opening, 70)),
        ),
      ),
    ),
  );
  fresh(
    main,
    title,
    left > 0 &&
      h("p", { class: "notice" }, `${count(left, "older note")} of this memory were not looked at for this list.`),
    h("div", { class: `talks ${asked.get("name") ? "one" : ""}` }, list, place),
  );
  await into(
    place,
    () =>
      talk(
        name,
        sessions.find((each) => each.session === name),
        signal,
      ),
    5,
  );
}

async function talk(name, told, signal) {
  const turns = h("ol", { class: "turns" });
  const more = h("div", { class: "row" });
  const all = [];
  const next = async (cursor) => {
    const { notes, next: after } = await get("notes", {
      query: { where: JSON.stringify({ session: name }), limit: PAGE, cursor },
      signal,
    });
    all.push(...notes);
    fresh(turns, drawn(all));
    fresh(more, after && button("More", () => next(after)));
  };
  await next();
  const facts = all.reduce((sum, note) => sum + note.facts.length, 0);
  const over = all.filter((note) => note.valid_to).length;
  if (!all.length) return empty("Nothing is left of it", "Its notes were forgotten.");
  return [
    h(
      "header",
      { class: "heading" },
      h(
        "div",
        {},
        h("a", { class: "back tiny", href: "#/conversations" }, "All conversations"),
        h("h2", {}, name),
        h(
          "p",
          { class: "soft tiny" },
          [
            told && span(told.first_at, told.last_at),
            count(all.length, "note"),
            count(facts, "fact"),
            over && `${over} over since`,
          ]
            .filter(Boolean)
            .join(" · "),
        ),
      ),
      session.may("forget") &&
        h("a", { class: "button danger", href: `#/forget?session=${path(name)}` }, "Forget it …"),
    ),
    turns,
    more,
  ];
}

/** Turns in the order in which they were said, with the day above the first of each. */
function drawn(notes) {
  let last = "";
  return [...notes]
    .sort((a, b) => a.occurred_at.localeCompare(b.occurred_at))
    .flatMap((note) => {
      const of = day(note.occurred_at);
      const head = of === last ? [] : [h("li", { class: "day" }, of)];
      last = of;
      return [...head, turn(note)];
    });
}

function turn(note) {
  const machine = note.actor === "assistant" || note.source === "assistant" || note.source === "tool";
  const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" }).format(
    new Date(note.occurred_at),
  );
  return h(
    "li",
    { class: `turn ${machine ? "machine" : ""}`, "data-stop": true },
    h("p", { class: "who" }, h("b", {}, note.actor ?? "somebody"), h("time", { datetime: note.occurred_at }, time)),
    h(
      "div",
      {},
      h("a", { class: "said small", href: noteAddress(note.id) }, note.content),
      h(
        "ul",
        { class: "brought", "aria-label": "Facts" },
        note.facts.map((fact) =>
          h(
            "li",
            { class: fact.valid_to || note.valid_to ? "over" : "" },
            `${fact.subject} · ${fact.relation} · ${fact.object}`,
          ),
        ),
      ),
      h("div", { class: "under" }, marks(note)),
    ),
  );
}
