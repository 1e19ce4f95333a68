// The note graph: a neighbourhood to look around in, which grows with every note that is opened, and the same as a list.

import { get, id as path } from "../api.js";
import { calm, fresh, h, s, say } from "../dom.js";
import { seat, settle, step } from "../force.js";
import { bar, button, empty, heading, noteAddress } from "../parts.js";
import { count, day, short } from "../words.js";

const MOST = 160;
const FEW = 12;
const NAMES = {
  next: "said next",
  similar: "alike in meaning",
  shares: "share a word",
  supersedes: "took its place",
  contradicts: "contradicts",
  user: "linked by hand",
  derived_from: "made of it",
  supports: "supports",
};

export async function render({ main, asked, signal }) {
  const around = asked.get("around");
  const told = around ? await neighbourhood(around, signal) : await get("graph", { query: { limit: 60 }, signal });
  const words = around
    ? "What one note is linked with; opening another one adds what that is linked with."
    : "The newest notes and their links; opening one adds its neighbours.";
  const title = heading("Graph", words, around && h("a", { class: "button", href: "#/graph" }, "The newest notes"));
  if (!told.notes.length) {
    fresh(
      main,
      title,
      empty(
        "There is no graph yet",
        "Notes are linked by what they share, by what was said next, and by being used together.",
      ),
    );
    return;
  }
  const map = new GraphMap(around, signal);
  fresh(main, title, map.element);
  map.add(told);
  if (around) map.choose(around, { expand: false });
  signal.addEventListener("abort", () => map.stop());
}

/** What a note is linked with; of one that has few neighbours, what these are linked with, too. */
async function neighbourhood(around, signal) {
  const near = await get("graph", { query: { around, hops: 1, limit: MOST }, signal });
  if (near.notes.length > FEW) return near;
  const wider = await get("graph", { query: { around, hops: 2, limit: MOST }, signal });
  return wider.left_out ? near : wider;
}

class GraphMap {
  constructor(around, signal) {
    this.signal = signal;
    this.nodes = new Map();
    this.links = [];
    this.opened = new Set(around ? [around] : []);
    this.chosen = null;
    this.view = { x: 0, y: 0, k: 1 };
    this.edges = s("g", {});
    this.dots = s("g", {});
    this.world = s("g", {}, this.edges, this.dots);
    this.svg = s(
      "svg",
      { role: "img", "aria-label": "The notes as a graph; the same notes are in the list beside it" },
      this.world,
    );
    this.list = h("ul", { "aria-label": "Notes in the graph" });
    this.card = h(
      "div",
      { class: "chosen-note" },
      h(
        "p",
        { class: "soft" },
        "Press a note, here or in the list: it is shown with its links, and its neighbours join.",
      ),
    );
    this.kinds = h("p", { class: "kinds" });
    this.counts = h("p", { class: "soft tiny" });
    const zoom = (by) => () => {
      this.zoom(by);
    };
    this.place = h(
      "div",
      { class: "canvas" },
      this.svg,
      h(
        "div",
        { class: "zoom" },
        button("+", zoom(1.3), { class: "icon", "aria-label": "Larger" }),
        button("−", zoom(1 / 1.3), { class: "icon", "aria-label": "Smaller" }),
        button("Fit", () => this.fit(), {}),
      ),
    );
    this.element = h(
      "div",
      { class: "map" },
      h("div", { class: "stack" }, this.place, this.kinds),
      h("div", { class: "beside" }, this.card, h("div", {}, h("h2", {}, "Notes"), this.counts), this.list),
    );
    this.listen();
    new ResizeObserver(() => this.fit()).observe(this.place);
  }

  /** Notes and links that are new here; returns how many notes were. */
  add({ notes, links }) {
    let fresher = 0;
    for (const note of notes) {
      if (this.nodes.has(note.id) || this.nodes.size >= MOST) continue;
      this.nodes.set(note.id, { ...note });
      fresher += 1;
    }
    const held = new Set(this.links.map((each) => `${each.source.id} ${each.target.id}`));
    for (const link of links) {
      const source = this.nodes.get(link.source);
      const target = this.nodes.get(link.target);
      if (source && target && source !== target && !held.has(`${source.id} ${target.id}`))
        this.links.push({ ...link, source, target });
    }
    this.build();
    this.arrange();
    return fresher;
  }

  build() {
    const nodes = [...this.nodes.values()];
    const degree = new Map();
    for (const { source, target } of this.links)
      for (const each of [source, target]) degree.set(each.id, (degree.get(each.id) ?? 0) + 1);
    fresh(
      this.edges,
      this.links.map((link) => {
        link.line = s(
          "line",
          { class: `edge ${link.kind}`, "stroke-width": 0.8 + 2 * link.weight },
          s("title", {}, `${link.kinds}: ${link.reason || link.kind}`),
        );
        return link.line;
      }),
    );
    fresh(
      this.dots,
      nodes.map((node) => {
        node.radius = 6 + Math.min(9, 1.6 * Math.sqrt(degree.get(node.id) ?? 0) + 5 * node.importance - 2.5);
        node.dot = s(
          "g",
          { class: `node ${node.kind} ${node.ended ? "ended" : ""}`, "data-id": node.id },
          s("circle", { r: node.radius, opacity: 0.45 + 0.55 * node.retrievability }),
          s("text", { y: node.radius + 14 }, short(node.content, 26)),
          s("title", {}, short(node.content, 200)),
        );
        return node.dot;
      }),
    );
    fresh(
      this.list,
      nodes.map((node) => {
        node.row = h(
          "li",
          { "data-stop": true },
          button(short(node.content, 110), () => this.choose(node.id), { "aria-pressed": "false" }),
        );
        return node.row;
      }),
    );
    fresh(
      this.counts,
      `${count(nodes.length, "note")}, ${count(this.links.length, "link")}`,
      nodes.length >= MOST && ", which is as many as fit",
    );
    const kinds = [...new Set(this.links.map((each) => each.kind))];
    fresh(
      this.kinds,
      kinds.map((kind) => h("span", {}, h("i", { class: kind, "aria-hidden": "true" }), NAMES[kind] ?? kind)),
    );
  }

  arrange() {
    cancelAnimationFrame(this.frame);
    const nodes = [...this.nodes.values()];
    seat(nodes, this.links);
    if (calm()) {
      settle(nodes, this.links);
      this.draw();
      this.fit();
      return;
    }
    let left = 170;
    const move = () => {
      for (let i = 0; i < 2; i += 1) step(nodes, this.links, 0.3 + left / 9);
      left -= 2;
      this.draw();
      this.fit();
      if (left > 0) this.frame = requestAnimationFrame(move);
    };
    this.frame = requestAnimationFrame(move);
  }

  draw() {
    for (const { line, source, target } of this.links) {
      for (const [name, value] of [
        ["x1", source.x],
        ["y1", source.y],
        ["x2", target.x],
        ["y2", target.y],
      ])
        line.setAttribute(name, value.toFixed(1));
    }
    for (const { dot, x, y } of this.nodes.values())
      dot.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
  }

  fit() {
    if (this.held) return;
    const nodes = [...this.nodes.values()];
    const { width, height } = this.place.getBoundingClientRect();
    if (!nodes.length || !width || nodes[0].x === undefined) return;
    const xs = nodes.map((each) => each.x);
    const ys = nodes.map((each) => each.y);
    const [left, right, top, bottom] = [
      Math.min(...xs) - 84,
      Math.max(...xs) + 84,
      Math.min(...ys) - 30,
      Math.max(...ys) + 44,
    ];
    const k = Math.min(1.25, width / (right - left), height / (bottom - top));
    this.view = { k, x: width / 2 - (k * (left + right)) / 2, y: height / 2 - (k * (top + bottom)) / 2 };
    this.look();
  }

  look() {
    const { x, y, k } = this.view;
    this.world.setAttribute("transform", `translate(${x} ${y}) scale(${k})`);
    this.dots.setAttribute("data-far", k < 0.62 ? "yes" : "no");
  }

  zoom(by, at) {
    const { width, height } = this.place.getBoundingClientRect();
    const [cx, cy] = at ?? [width / 2, height / 2];
    const k = Math.max(0.15, Math.min(4, this.view.k * by));
    const turn = k / this.view.k;
    this.view = { k, x: cx - (cx - this.view.x) * turn, y: cy - (cy - this.view.y) * turn };
    this.look();
  }

  listen() {
    let grip = null;
    this.svg.addEventListener("pointerdown", (event) => {
      const dot = event.target.closest(".node");
      grip = { x: event.clientX, y: event.clientY, dot, moved: false };
      this.svg.setPointerCapture(event.pointerId);
    });
    this.svg.addEventListener("pointermove", (event) => {
      if (!grip) return;
      const dx = event.clientX - grip.x;
      const dy = event.clientY - grip.y;
      if (!grip.moved && Math.hypot(dx, dy) < 4) return;
      grip.moved = true;
      grip.x = event.clientX;
      grip.y = event.clientY;
      if (grip.dot) {
        const node = this.nodes.get(grip.dot.dataset.id);
        node.x += dx / this.view.k;
        node.y += dy / this.view.k;
        this.draw();
      } else {
        this.view = { ...this.view, x: this.view.x + dx, y: this.view.y + dy };
        this.look();
      }
    });
    this.svg.addEventListener("pointerup", () => {
      if (grip && !grip.moved && grip.dot) this.choose(grip.dot.dataset.id);
      grip = null;
    });
    this.svg.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const { left, top } = this.place.getBoundingClientRect();
        this.zoom(Math.exp(-event.deltaY / 500), [event.clientX - left, event.clientY - top]);
      },
      { passive: false },
    );
  }

  /** Shows a note, and fetches what it is linked with the first time. */
  async choose(id, { expand = true } = {}) {
    this.chosen = id;
    this.light();
    if (!expand || this.opened.has(id)) return;
    this.opened.add(id);
    const told = await get("graph", { query: { around: id, hops: 1, limit: 60 }, signal: this.signal }).catch(
      (error) => {
        say(error.message);
        return null;
      },
    );
    if (!told) return;
    const focus = this.list.contains(document.activeElement);
    const more = this.add(told);
    this.light();
    if (focus) this.nodes.get(id).row.querySelector("button").focus();
    say(more ? `${count(more, "note")} more` : "nothing new is linked with it");
  }

  light() {
    const node = this.nodes.get(this.chosen);
    if (!node) return;
    const mine = this.links.filter((each) => each.source === node || each.target === node);
    const near = new Set([node, ...mine.flatMap((each) => [each.source, each.target])]);
    for (const each of this.nodes.values()) {
      each.dot.classList.toggle("chosen", each === node);
      each.dot.classList.toggle("dim", !near.has(each));
      each.row.querySelector("button").setAttribute("aria-pressed", String(each === node));
    }
    for (const each of this.links) {
      each.line.classList.toggle("lit", mine.includes(each));
      each.line.classList.toggle("dim", !mine.includes(each));
    }
    this.dots.append(node.dot);
    fresh(
      this.card,
      h("p", { class: "said small" }, node.content),
      h(
        "p",
        { class: "tiny soft" },
        [node.actor, day(node.occurred_at), node.ended && "over"].filter(Boolean).join(" · "),
      ),
      h(
        "ul",
        { class: "tiny" },
        mine
          .sort((a, b) => b.weight - a.weight)
          .slice(0, 8)
          .map((each) =>
            h(
              "li",
              {},
              bar(each.weight),
              " ",
              h("b", {}, NAMES[each.kind] ?? each.kind),
              " ",
              h(
                "span",
                { class: "soft" },
                `${short((each.source === node ? each.target : each.source).content, 60)}${each.reason ? ` (${each.reason})` : ""}`,
              ),
            ),
          ),
      ),
      h(
        "div",
        { class: "row" },
        h("a", { class: "button", href: noteAddress(node.id) }, "Its life"),
        h("a", { class: "button", href: `#/graph?around=${path(node.id)}` }, "Only this"),
      ),
    );
  }

  stop() {
    cancelAnimationFrame(this.frame);
  }
}
