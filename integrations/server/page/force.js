// Where notes of a graph lie: repelled by each other, drawn together by links, and held by the middle (Fruchterman and Reingold 1991).

/** Gives a place to those nodes that have none, near a neighbour that has one; the same graph begins the same. */
export function seat(nodes, links) {
  const near = new Map();
  for (const { source, target } of links) {
    near.set(source.id, [...(near.get(source.id) ?? []), target]);
    near.set(target.id, [...(near.get(target.id) ?? []), source]);
  }
  nodes.forEach((node, place) => {
    if (node.x !== undefined) return;
    const angle = place * 2.399963; // the golden angle: no two in one direction
    const host = (near.get(node.id) ?? []).find((each) => each.x !== undefined);
    const far = host ? 60 : 40 * Math.sqrt(place + 0.5);
    node.x = (host?.x ?? 0) + far * Math.cos(angle);
    node.y = (host?.y ?? 0) + far * Math.sin(angle);
  });
}

/** One step; ``heat`` is how far a node may move at most. */
export function step(nodes, links, heat, length = 128) {
  for (const node of nodes) {
    node.fx = -node.x * 0.055;
    node.fy = -node.y * 0.085;
  }
  for (let i = 0; i < nodes.length; i += 1) {
    for (let j = i + 1; j < nodes.length; j += 1) {
      const a = nodes[i];
      const b = nodes[j];
      const dx = a.x - b.x || 0.01 * (i - j);
      const dy = a.y - b.y || 0.01;
      const push = Math.min(60, ((length * length * 0.75) / (dx * dx + dy * dy)) * 6);
      const far = Math.hypot(dx, dy);
      a.fx += (dx / far) * push;
      a.fy += (dy / far) * push;
      b.fx -= (dx / far) * push;
      b.fy -= (dy / far) * push;
    }
  }
  for (const { source, target, weight } of links) {
    const dx = target.x - source.x;
    const dy = target.y - source.y;
    const far = Math.hypot(dx, dy) || 0.01;
    const pull = ((far - length) / far) * 0.16 * (0.4 + 0.6 * weight);
    source.fx += dx * pull;
    source.fy += dy * pull;
    target.fx -= dx * pull;
    target.fy -= dy * pull;
  }
  for (const node of nodes) {
    if (node.held) continue;
    const far = Math.hypot(node.fx, node.fy) || 1;
    const by = Math.min(far, heat);
    node.x += (node.fx / far) * by;
    node.y += (node.fy / far) * by;
  }
}

export function settle(nodes, links, steps = 260) {
  for (let i = 0; i < steps; i += 1) step(nodes, links, 26 * (1 - i / steps) + 0.4);
}
