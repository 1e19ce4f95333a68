// Keys for those who stay on the keyboard; single keys can be turned off, for those who speak to their machine.

import { h } from "./dom.js";
import { dialog } from "./parts.js";

const OFF = "agentmem.keys";
const GO = { s: "search", g: "graph", c: "conversations", w: "weights", f: "forget", o: "overview" };
const HELP = [
  [["/"], "search"],
  [["j"], "the next hit, note or turn"],
  [["k"], "the one before"],
  [["n"], "remember something"],
  [["g", "s"], "go to the search"],
  [["g", "g"], "the graph"],
  [["g", "c"], "conversations"],
  [["g", "w"], "weights"],
  [["g", "f"], "forget"],
  [["g", "o"], "the overview"],
  [["t"], "light or dark"],
  [["?"], "this help"],
  [["Esc"], "close a dialog"],
];
let going = 0;

const on = () => localStorage.getItem(OFF) !== "off";
const typing = (target) => target.closest("input, select, textarea, [contenteditable], dialog");

export function help() {
  const keys = h("input", {
    type: "checkbox",
    checked: on(),
    onchange: () => localStorage.setItem(OFF, keys.checked ? "on" : "off"),
  });
  return dialog(
    "Keyboard shortcuts",
    [
      h(
        "dl",
        { class: "keys" },
        HELP.map(([pressed, words]) => [
          h(
            "dt",
            {},
            pressed.map((key) => h("kbd", {}, key)),
          ),
          h("dd", {}, words),
        ]),
      ),
      h("label", { class: "check" }, keys, h("span", {}, "Single keys are shortcuts")),
    ],
    [h("button", { class: "main", value: "ok", autofocus: true }, "Close")],
  );
}

/** Moves the focus among what can be stepped through. */
function step(by) {
  const stops = [...document.querySelectorAll("[data-stop]")];
  const at = stops.findIndex((each) => each.contains(document.activeElement));
  const next = stops[at < 0 ? (by > 0 ? 0 : stops.length - 1) : Math.max(0, Math.min(stops.length - 1, at + by))];
  const target = next?.matches("a, button") ? next : next?.querySelector("a, button");
  target?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

export function listen({ theme, remember }) {
  document.getElementById("help").addEventListener("click", help);
  addEventListener("keydown", (event) => {
    if (
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      !on() ||
      !document.body.dataset.signed ||
      typing(event.target)
    )
      return;
    const { key } = event;
    if (Date.now() - going < 1200 && GO[key]) {
      going = 0;
      location.hash = `#/${GO[key]}`;
    } else if (key === "g") going = Date.now();
    else if (key === "/") search();
    else if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
    else if (key === "n") remember();
    else if (key === "t") theme();
    else if (key === "?") help();
    else return;
    event.preventDefault();
  });
}

function search() {
  const field = document.querySelector("main[data-view=search] input[type=search]");
  if (field) field.focus();
  else location.hash = "#/search";
}
