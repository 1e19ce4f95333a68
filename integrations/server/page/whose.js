// Whose notes are looked at: said by the token, or chosen here where it may name anyone.

import { get, session } from "./api.js";
import { fresh, h } from "./dom.js";
import { choice } from "./parts.js";

const value = ({ user, agent }) => (user ? `user:${user}` : agent ? `agent:${agent}` : "shared");
const words = ({ user, agent }) =>
  user ? (agent ? `${user} (${agent})` : user) : agent ? `agent ${agent}` : "shared by everybody";

function read(chosen) {
  const at = chosen.indexOf(":");
  return at < 0 ? {} : { [chosen.slice(0, at)]: chosen.slice(at + 1) };
}

export async function choosing(place, changed) {
  const { me } = session;
  if (!me.anyone) {
    fresh(place, h("p", { class: "soft tiny" }, "The notes of"), h("p", { class: "name" }, words(me)));
    return;
  }
  const known = session.may("admin") ? await owners() : null;
  if (known === null) {
    fresh(place, named(changed));
    return;
  }
  if (!session.whose) session.whose = known[0] ?? {};
  const options = new Map([...known, session.whose].map((each) => [value(each), words(each)]));
  const select = choice([...options], value(session.whose), {
    "aria-label": "Whose notes",
    onchange: () => {
      session.whose = read(select.value);
      changed();
    },
  });
  fresh(place, h("p", { class: "soft tiny", "aria-hidden": "true" }, "The notes of"), select);
}

/** Who has notes; what is shared, which each of them sees, comes last. */
async function owners() {
  try {
    const { users } = await get("users", { bare: true, query: { shared: "true" } });
    const told = users.map(({ user, agent }) => (user ? { user } : agent ? { agent } : {}));
    const all = [...new Map(told.map((each) => [value(each), each])).values()];
    const isSomebodys = (each) => each.user || each.agent;
    return [...all.filter(isSomebodys), ...all.filter((each) => !isSomebodys(each))];
  } catch (error) {
    if (error.status === 403) return null;
    throw error;
  }
}

function named(changed) {
  const input = h("input", {
    type: "text",
    "aria-label": "Whose notes: a user's name, or empty for what is shared",
    value: session.whose?.user ?? "",
    placeholder: "shared",
    autocomplete: "off",
    onchange: () => {
      session.whose = input.value.trim() ? { user: input.value.trim() } : {};
      changed();
    },
  });
  return [h("p", { class: "soft tiny", "aria-hidden": "true" }, "The notes of"), input];
}
