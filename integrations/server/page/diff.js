// What two texts have in common, word by word (longest common subsequence).

import { h } from "./dom.js";

const MOST = 600;

export function steps(before, after) {
  const a = before.split(/(\s+)/).filter(Boolean);
  const b = after.split(/(\s+)/).filter(Boolean);
  if (a.length > MOST || b.length > MOST)
    return [
      ["del", before],
      ["ins", after],
    ];
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1)
      table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  }
  const found = [];
  const add = (kind, text) => {
    if (found.at(-1)?.[0] === kind) found.at(-1)[1] += text;
    else found.push([kind, text]);
  };
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add("same", a[i]);
      i += 1;
      j += 1;
    } else if (i < a.length && (j >= b.length || table[i + 1][j] >= table[i][j + 1])) {
      add("del", a[i]);
      i += 1;
    } else {
      add("ins", b[j]);
      j += 1;
    }
  }
  return found;
}

/** The later text, with what went struck out and what came marked. */
export const difference = (before, after) =>
  steps(before, after).map(([kind, text]) =>
    kind === "same"
      ? text
      : h(kind, {}, h("span", { class: "unseen" }, kind === "del" ? "taken out: " : "put in: "), text),
  );
