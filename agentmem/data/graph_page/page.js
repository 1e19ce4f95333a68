// The page of a note graph. What notes say enters the page as text nodes only, never as markup.
(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = new Map(data.nodes.map((node) => [node.id, node]));
  const groups = ["#2563a8", "#d9782d", "#2a9d6f", "#8d5fb4", "#c2405a", "#3b9fb0", "#9a7b2f", "#66727f"];
  const kinds = {
    next: "#9aa5b1", similar: "#4e88c7", shares: "#e59545", derived_from: "#8d79bd", supports: "#2a9d6f",
    supersedes: "#d1495b", contradicts: "#b3262f", updates: "#d98a94", used_together: "#1f7a54", user: "#1f2933",
  };
  const LISTED = 60;
  const dark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = dark ? "#e6eaee" : "#1f2933", paper = dark ? "#14181d" : "#ffffff";
  const el = (id) => document.getElementById(id);
  const colour = (kind) => (kind === "user" ? ink : kinds[kind] || "#66727f");
  const cut = (text, n) => { const chars = [...text]; return chars.length > n ? chars.slice(0, n - 1).join("") + "…" : text; };
  const make = (tag, text) => { const made = document.createElement(tag); if (text !== undefined) made.textContent = text; return made; };
  const day = (iso) => (iso ? iso.slice(0, 16).replace("T", " ") : "");

  el("counts").textContent = data.counts;
  const cy = cytoscape({
    container: el("graph"),
    elements: [
      ...data.nodes.map((node) => ({
        data: { id: node.id, label: cut(node.content, 34), size: 8 + 14 * node.strength, colour: groups[node.group % groups.length] },
        position: { x: node.x, y: node.y }, classes: node.archived || node.ended ? "gone" : "",
      })),
      ...data.links.map((link, number) => ({
        data: { id: "link" + number, source: link.source, target: link.target, kind: link.kind, width: 0.8 + 2.4 * link.weight, colour: colour(link.kind) },
      })),
    ],
    layout: { name: "preset" },
    minZoom: 0.05, maxZoom: 4,
    style: [
      { selector: "node", style: {
        width: "data(size)", height: "data(size)", "background-color": "data(colour)", label: "data(label)", color: ink,
        "font-size": 9, "text-wrap": "wrap", "text-max-width": 110, "text-valign": "bottom", "text-margin-y": 4,
        "min-zoomed-font-size": 7, "border-width": 2, "border-color": paper } },
      { selector: "node.gone", style: { "background-color": paper, "border-color": "data(colour)", color: "#8a949e" } },
      { selector: "edge", style: {
        width: "data(width)", "line-color": "data(colour)", "target-arrow-color": "data(colour)", "target-arrow-shape": "triangle",
        "arrow-scale": 0.7, "curve-style": "straight", opacity: 0.65 } },
      { selector: ".dim", style: { opacity: 0.1 } },
      { selector: "node.found", style: { "border-color": ink, "border-width": 3 } },
      { selector: "node:selected", style: { "border-color": ink, "border-width": 4 } },
    ],
  });
  cy.fit(undefined, 40);

  function linksOf(id) {
    return data.links.filter((link) => link.source === id || link.target === id).sort((a, b) => b.weight - a.weight);
  }

  function row(list, node, note) {
    const item = make("li"), button = make("button", cut(node.content, 110));
    button.type = "button";
    if (note) button.append(make("small", note));
    button.addEventListener("click", () => show(node.id, true));
    item.append(button);
    list.append(item);
  }

  function show(id, centre) {
    const node = byId.get(id), box = el("note"), facts = make("dl"), list = make("ul");
    const rows = [
      ["fact", node.fact], ["said by", node.actor], ["when", day(node.occurred_at)], ["stored", day(node.created_at)],
      ["held until", day(node.valid_to)], ["session", node.session], ["tags", node.tags], ["kind", node.kind],
      ["strength", Math.round(100 * node.strength) + " %, used " + node.recalls + " times"], ["importance", node.importance.toFixed(2)],
      ["state", node.archived ? "faded" : ""], ["id", node.id],
    ];
    for (const [name, value] of rows) if (value) facts.append(make("dt", name), make("dd", value));
    const links = linksOf(id);
    for (const link of links) {
      const other = byId.get(link.source === id ? link.target : link.source);
      row(list, other, (link.source === id ? "→ " : "← ") + link.reasons + " · " + link.weight.toFixed(2));
    }
    box.replaceChildren(make("h2", "Note"), make("blockquote", node.content), facts, make("h2", links.length + " links"), list);
    box.hidden = false;
    box.scrollIntoView({ block: "nearest" });
    const chosen = cy.getElementById(id), near = chosen.closedNeighborhood();
    cy.elements().removeClass("dim").unselect();
    cy.elements().not(near).addClass("dim");
    chosen.select();
    if (centre) cy.animate({ center: { eles: chosen }, duration: 200 });
  }

  function search() {
    const words = el("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = data.nodes.filter((node) => {
      const text = [node.content, node.fact, node.actor, node.tags].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    el("found").replaceChildren();
    for (const node of found.slice(0, LISTED)) row(el("found"), node, day(node.occurred_at));
    el("more").textContent = found.length > LISTED ? "and " + (found.length - LISTED) + " more" : found.length ? "" : "no note says that";
    cy.nodes().removeClass("found");
    if (words.length) for (const node of found) cy.getElementById(node.id).addClass("found");
  }

  const counted = new Map();
  for (const link of data.links) counted.set(link.kind, (counted.get(link.kind) || 0) + 1);
  for (const [kind, count] of [...counted].sort((a, b) => b[1] - a[1])) {
    const label = make("label"), box = make("input"), mark = make("i");
    box.type = "checkbox";
    box.checked = true;
    mark.style.background = colour(kind);
    box.addEventListener("change", () => cy.edges().filter((edge) => edge.data("kind") === kind).style("display", box.checked ? "element" : "none"));
    label.append(box, mark, document.createTextNode(kind.replaceAll("_", " ")), make("b", String(count)));
    el("kinds").append(label);
  }
  cy.on("tap", "node", (event) => show(event.target.id(), false));
  cy.on("tap", (event) => { if (event.target === cy) cy.elements().removeClass("dim").unselect(); });
  el("search").addEventListener("input", search);
  el("whole").addEventListener("click", () => { cy.stop(); cy.elements().removeClass("dim").unselect(); el("note").hidden = true; cy.fit(undefined, 40); });
  search();
  document.documentElement.dataset.ready = "true";
})();
