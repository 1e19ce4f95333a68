// A text to remember, and what became of it.

import { post } from "./api.js";
import { fresh, h } from "./dom.js";
import { button, dialog, field, noteAddress, toast, trouble } from "./parts.js";

const BECAME = {
  stored: "Remembered.",
  merged: "It was remembered already.",
  superseded: "Remembered; an older note is over now.",
  rejected: "It was not remembered.",
};

export async function remember(changed) {
  const words = h("textarea", { rows: "4", name: "content", required: true, placeholder: "Ana lives in Porto." });
  const tags = h("input", { type: "text", name: "tags", placeholder: "home, family", autocomplete: "off" });
  const told = h("div", {});
  let held = null;
  const store = async () => {
    if (!words.value.trim()) {
      words.focus();
      return;
    }
    try {
      const given = tags.value
        .split(",")
        .map((each) => each.trim())
        .filter(Boolean);
      held = await post("notes", { content: words.value.trim(), ...(given.length ? { tags: given } : {}) });
      words.closest("dialog").close("stored");
    } catch (error) {
      fresh(told, trouble(error));
    }
  };
  words.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) store();
  });
  const how = await dialog(
    "Remember something",
    [
      h(
        "div",
        { class: "stack" },
        field("What", words, "One thing in plain words; Ctrl and Enter stores it."),
        field("Tags", tags, "Optional, with commas between."),
      ),
      told,
    ],
    [h("button", { value: "", formnovalidate: true }, "Cancel"), button("Remember", store, { class: "main" })],
  );
  if (how !== "stored") return;
  toast(held.reason && held.status === "rejected" ? held.reason : (BECAME[held.status] ?? held.status));
  if (held.id && held.status !== "rejected") location.hash = noteAddress(held.id);
  changed();
}
