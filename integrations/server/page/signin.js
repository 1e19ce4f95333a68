// Where a token is asked for. It is kept for this tab alone, and gone with it.

import { session } from "./api.js";
import { fresh, h } from "./dom.js";
import { field, trouble } from "./parts.js";

export function signIn(main, problem, enter) {
  const token = h("input", {
    type: "password",
    name: "token",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "amt_…",
  });
  fresh(
    main,
    h(
      "div",
      { class: "door" },
      h("h1", { tabindex: "-1" }, "Sign in"),
      h(
        "p",
        { class: "soft" },
        "This memory lets in whoever has a token. Yours says whose notes you see, and what you may do with them.",
      ),
      problem && trouble(problem),
      h(
        "form",
        {
          class: "stack",
          onsubmit: (event) => {
            event.preventDefault();
            session.token = token.value.trim();
            enter();
          },
        },
        field("Token", token, "Kept in this tab until it is closed, and sent to this server alone."),
        h("button", { class: "main", type: "submit" }, "Sign in"),
      ),
      h(
        "details",
        {},
        h("summary", {}, "I have none"),
        h("p", { class: "soft" }, "Whoever runs the server makes one, and it is shown once:"),
        h("pre", {}, "agentmem serve token add --for ana"),
      ),
    ),
  );
  token.focus();
}
