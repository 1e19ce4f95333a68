// The model's weights: what would go in and why, a run with its report, what is there, and taking a run back.

import { get, id as path, post, session } from "../api.js";
import { fresh, h, say } from "../dom.js";
import {
  button,
  dialog,
  empty,
  field,
  heading,
  into,
  noteAddress,
  scoreParts,
  section,
  toast,
  trouble,
} from "../parts.js";
import { count, moment, percent, short, WORTH } from "../words.js";
import { beforeAfter } from "./note.js";

const VERDICTS = { promote: "goes in", keep: "stays as it is", demote: "comes out" };
const DRIFT = {
  waiting: "facts are ready to go in",
  stale: "edits say what their notes no longer say",
  contradicted: "edits are contradicted by newer notes",
  unserved: "edits are missing from the pack",
  stray: "edits of the pack are unknown here",
  outdated: "exported adapters hold what was superseded",
};

export async function render({ main, signal }) {
  const place = h("div", { class: "stage" });
  const state = h("div", {});
  const held = h("div", {});
  const mine = session.may("consolidate");
  fresh(
    main,
    heading(
      "Weights",
      "Facts that are stable and often needed move into the model itself, verified first; whatever the notes forget, the weights forget.",
    ),
    state,
    mine
      ? actions(place, () => refresh(), signal)
      : h("p", { class: "notice" }, "This token may look, and not consolidate."),
    place,
    held,
  );
  const refresh = async () => {
    await Promise.all([into(state, () => status(signal), 1), into(held, () => inside(signal), 2)]);
  };
  await refresh();
  const { runs } = mine ? await get("consolidation/runs", { signal }) : { runs: [] };
  const under = runs.find((run) => run.state === "running");
  if (under) watch(place, () => under, refresh, signal); // it was begun before this view was left
}

async function status(signal) {
  const told = await get("consolidation/status", { signal });
  const lines = Object.entries(DRIFT)
    .filter(([name]) => told[name].length)
    .map(([name, words]) =>
      h(
        "li",
        { class: name === "waiting" ? "" : "warn" },
        h("span", { class: "sign", "aria-hidden": "true" }),
        h(
          "span",
          {},
          h("b", {}, String(told[name].length)),
          ` ${told[name].length === 1 ? words.replace(/^facts are/, "fact is").replace(/^edits/, "edit:") : words}`,
        ),
      ),
    );
  return section(
    "How it stands",
    null,
    h(
      "dl",
      { class: "figures" },
      [
        [String(told.edits), "edits in the weights"],
        [String(told.waiting.length), "facts ready to go in"],
        [told.attached ? "attached" : "none", "model"],
      ].map(([value, words]) => h("div", {}, h("dt", {}, words), h("dd", {}, value))),
    ),
    told.trouble && h("p", { class: "notice" }, told.trouble),
    told.base_changed &&
      h("p", { class: "notice" }, "The attached model is another than the one the edits were written on."),
    lines.length > 0 && h("ul", { class: "todo" }, lines),
  );
}

function actions(place, refresh, signal) {
  const budget = h("input", { type: "number", min: "1", max: "1000", placeholder: "no limit" });
  const dry = button("What would go in?", () => carryOut(place, true, undefined, refresh, signal), { class: "main" });
  const run = button("Consolidate …", async () => {
    const how = await dialog(
      "Consolidate now?",
      [
        h(
          "p",
          {},
          "Facts that the policy admits are written in shadow, asked for in other words, and committed only when the model answers them and forgets nothing else. Notes stay as they are.",
        ),
        field("At most so many facts", budget),
      ],
      [h("button", { value: "" }, "Not now"), h("button", { class: "main", value: "yes" }, "Consolidate")],
    );
    if (how === "yes") await carryOut(place, false, budget.value ? Number(budget.value) : undefined, refresh, signal);
  });
  const undo = button("Take the last run back …", () => takeBack(place, refresh, signal));
  return h("div", { class: "row" }, dry, run, undo);
}

const carryOut = (place, dry, budget, refresh, signal) =>
  watch(
    place,
    () => post("consolidation/runs", { dry_run: dry, ...(budget ? { budget } : {}) }, { signal }),
    refresh,
    signal,
  );

/** Follows a run to its end, and shows what came of it. */
async function watch(place, begin, refresh, signal) {
  const bar = h("progress", { "aria-label": "Progress" });
  const stage = h("p", { role: "status" }, "Beginning …");
  fresh(place, h("div", { class: "progress" }, stage, bar));
  try {
    let run = await begin();
    while (run.state === "running") {
      const { stage: name, done, total } = run.progress;
      stage.textContent = total ? `${name}: ${done} of ${total}` : name;
      if (total) {
        bar.max = total;
        bar.value = done;
      }
      await new Promise((go) => {
        setTimeout(go, 250);
      });
      run = await get(`consolidation/runs/${path(run.id)}`, { signal });
    }
    if (run.state === "failed")
      fresh(place, trouble({ message: run.problem.detail, hint: run.problem.hint, request: run.problem.request_id }));
    else {
      fresh(place, run.dry_run ? decided(run.report) : report(run.report));
      say(run.dry_run ? "The dry run is done" : "The run is done");
      if (!run.dry_run) await refresh();
    }
  } catch (error) {
    if (error.name === "AbortError") return;
    fresh(place, trouble(error));
  }
}

/** A dry run: every candidate, what would become of it, and why. */
function decided({ decisions }) {
  if (!decisions.length)
    return section(
      "What would go in",
      null,
      empty("No note states a fact", "Facts are what can be asked for: “Ana lives in Porto.”"),
    );
  const order = { promote: 0, demote: 1, keep: 2 };
  const sorted = [...decisions].sort((a, b) => order[a.action] - order[b.action] || b.score - a.score);
  const largest = Math.max(0.05, ...sorted.flatMap((each) => Object.values(each.parts).map(Math.abs)));
  const into_ = sorted.filter((each) => each.action === "promote").length;
  return section(
    `${count(into_, "fact")} of ${sorted.length} would go in`,
    "Nothing has been written.",
    h(
      "ul",
      { class: "decisions" },
      sorted.slice(0, 200).map((each) =>
        h(
          "li",
          { class: "decision", "data-stop": true },
          h("span", { class: `verdict ${each.action}` }, VERDICTS[each.action]),
          h(
            "div",
            {},
            h("a", { href: noteAddress(each.note_id) }, each.label),
            h("p", { class: "tiny soft" }, each.reasons.join("; ")),
          ),
          h(
            "div",
            {},
            h("p", { class: "tiny soft" }, `worth ${each.score.toFixed(2)}`),
            scoreParts(each.parts, largest, (name) => [WORTH[name] ?? name, ""]),
          ),
        ),
      ),
    ),
  );
}

/** What a run did: each fact with what the model said before and after. */
function report(told) {
  const shares = [
    ["reliability", "answered as asked"],
    ["generality", "answered in other words"],
    ["locality", "left as it was"],
  ];
  return section(
    `${count(told.promoted.length, "fact")} went in, ${told.failed.length} rolled back`,
    `in ${told.seconds.toFixed(1)} s`,
    h(
      "dl",
      { class: "figures" },
      shares.map(([name, words]) =>
        h("div", {}, h("dt", {}, words), h("dd", {}, told[name] === null ? "–" : percent(told[name]))),
      ),
    ),
    told.warnings.map((each) => h("p", { class: "notice" }, each)),
    h(
      "ul",
      { class: "decisions" },
      told.outcomes.map((each) =>
        h(
          "li",
          { class: "decision" },
          h(
            "span",
            { class: `verdict ${each.committed ? "promote" : "back"}` },
            each.committed ? "went in" : "rolled back",
          ),
          h(
            "div",
            {},
            h("a", { href: noteAddress(each.note_id) }, each.question),
            beforeAfter(each.before, each.after),
            each.reason && h("p", { class: "tiny soft" }, each.reason),
          ),
          h(
            "p",
            { class: "tiny soft" },
            `asked as it is: ${percent(each.reliability)}`,
            h("br", {}),
            `in other words: ${each.generality === null ? "not measured" : percent(each.generality)}`,
          ),
        ),
      ),
    ),
    told.decisions.some((each) => each.action !== "promote") &&
      h(
        "details",
        {},
        h("summary", {}, "What stayed as it is, and why"),
        h(
          "ul",
          { class: "todo" },
          told.decisions
            .filter((each) => each.action !== "promote")
            .map((each) =>
              h(
                "li",
                {},
                h("span", { class: "sign none", "aria-hidden": "true" }),
                h(
                  "span",
                  {},
                  h("a", { href: noteAddress(each.note_id) }, each.label),
                  h("span", { class: "soft" }, ` ${each.reasons.join("; ")}`),
                ),
              ),
            ),
        ),
      ),
  );
}

async function takeBack(place, refresh, signal) {
  try {
    const would = await post("consolidation/undo", { dry_run: true }, { signal });
    const how = await dialog(
      "Take the last run back?",
      [
        h(
          "p",
          {},
          `The consolidation of ${moment(would.at)} wrote ${count(would.edits.length, "edit")}. They leave the weights, and the notes stay.`,
        ),
      ],
      [h("button", { value: "" }, "Leave it"), h("button", { class: "main danger", value: "yes" }, "Take it back")],
    );
    if (how !== "yes") return;
    const told = await post("consolidation/undo", {}, { signal });
    toast(`${count(told.edits.length, "edit")} taken out of the weights.`);
    fresh(place);
    await refresh();
  } catch (error) {
    if (error.name !== "AbortError") fresh(place, trouble(error));
  }
}

/** What the weights hold, and what the model said before it was taught, where a run that the server remembers tells it. */
async function inside(signal) {
  const { edits } = await get("edits", { signal });
  if (!edits.length)
    return section(
      "What the weights hold",
      null,
      empty("Nothing yet", "A dry run says which facts would go in, and what the others lack."),
    );
  const before = session.may("consolidate") ? await said(signal) : new Map();
  return section(
    "What the weights hold",
    null,
    h(
      "ul",
      { class: "decisions" },
      edits.map((each) =>
        h(
          "li",
          { class: "decision", "data-stop": true },
          h("span", { class: "verdict promote" }, "in the weights"),
          h(
            "div",
            {},
            h("a", { href: noteAddress(each.note_id) }, each.question),
            beforeAfter(before.get(each.id), each.answer),
          ),
          h(
            "p",
            { class: "tiny soft" },
            each.paraphrases.length ? `also: ${short(each.paraphrases.slice(0, 2).join(" / "), 90)}` : "",
          ),
        ),
      ),
    ),
  );
}

async function said(signal) {
  const { runs } = await get("consolidation/runs", { signal });
  const done = runs.filter((run) => run.state === "done" && !run.dry_run).slice(-10);
  const told = await Promise.all(done.map((run) => get(`consolidation/runs/${path(run.id)}`, { signal })));
  return new Map(
    told.flatMap((run) =>
      run.report.outcomes.filter((each) => each.committed).map((each) => [each.edit_id, each.before]),
    ),
  );
}
