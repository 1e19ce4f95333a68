// How strongly a note is remembered over time, drawn to the width there is.

import { h, s } from "./dom.js";
import { day, moment, percent } from "./words.js";

const HEIGHT = 224;
const EDGE = { left: 42, right: 14, top: 16, bottom: 46 };

/** A figure that draws itself anew when its width changes. */
export function curveFigure(curve, events, words) {
  const place = h("div", { class: "plot" });
  const figure = h("figure", { class: "curve" }, place, h("figcaption", { class: "soft tiny" }, words));
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (width === drawn || width < 120) return;
    drawn = width;
    place.replaceChildren(draw(curve, events, width));
  }).observe(place);
  return figure;
}

function draw(curve, events, width) {
  const points = curve.points.map(([at, strength]) => [Date.parse(at), strength]);
  const start = Math.min(points[0][0], ...events.map((each) => Date.parse(each.at)));
  const end = points.at(-1)[0];
  const x = (at) => EDGE.left + ((at - start) / Math.max(1, end - start)) * (width - EDGE.left - EDGE.right);
  const y = (strength) => EDGE.top + (1 - strength) * (HEIGHT - EDGE.top - EDGE.bottom);
  const floor = y(0);
  const line = points
    .map(([at, strength], i) => `${i ? "L" : "M"}${x(at).toFixed(1)} ${y(strength).toFixed(1)}`)
    .join("");
  const now = Date.parse(curve.now);
  const picture = s("svg", {
    width,
    height: HEIGHT,
    viewBox: `0 0 ${width} ${HEIGHT}`,
    role: "img",
    "aria-label": `Remembered with ${percent(curve.retrievability)} now${curve.due ? `; due on ${day(curve.due)}` : ""}; ${curve.recalls} uses`,
  });
  for (const level of [0, 0.5, 1]) {
    picture.append(
      s("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(level), y2: y(level) }),
      s("text", { class: "axis", x: EDGE.left - 8, y: y(level) + 4, "text-anchor": "end" }, percent(level)),
    );
  }
  if (points[0][0] - start > 6e7) {
    picture.append(
      s("rect", { class: "earlier", x: x(start), y: y(1), width: x(points[0][0]) - x(start), height: floor - y(1) }),
    );
  }
  picture.append(
    s("path", { class: "area", d: `${line}L${x(end)} ${floor}L${x(points[0][0])} ${floor}Z` }),
    s("path", { class: "line", d: line }),
  );
  axis(picture, start, end, x, floor, width);
  if (curve.due) level(picture, curve, x, y, end, now);
  picture.append(
    s("line", { class: "now", x1: x(now), x2: x(now), y1: y(1) - 6, y2: floor }),
    s("circle", { class: "here", cx: x(now), cy: y(curve.retrievability), r: 4.5 }),
  );
  const right = x(now) > width - 120;
  picture.append(
    s(
      "text",
      {
        class: "label strong",
        x: x(now) + (right ? -9 : 9),
        y: curve.retrievability > 0.25 ? floor - 10 : y(1) + 12,
        "text-anchor": right ? "end" : "start",
      },
      `now ${percent(curve.retrievability)}`,
    ),
  );
  for (const each of events) {
    const mark = s(
      "path",
      { class: `event ${each.kind}`, d: `M${x(Date.parse(each.at))} ${floor + 4}l5 9h-10z` },
      s("title", {}, `${each.words}, ${moment(each.at)}`),
    );
    picture.append(mark);
  }
  return picture;
}

function level(picture, curve, x, y, end, now) {
  const due = Date.parse(curve.due);
  if (due > end) return;
  picture.append(
    s("circle", { class: "due", cx: x(due), cy: y(0.9), r: 3.5 }, s("title", {}, `falls to 90 % on ${day(curve.due)}`)),
  );
  if (Math.abs(x(due) - x(now)) > 60)
    picture.append(s("text", { class: "label", x: x(due) + 8, y: y(0.9) - 6 }, `due ${day(curve.due)}`));
}

function axis(picture, start, end, x, floor, width) {
  const wanted = Math.max(2, Math.floor(width / 150));
  for (let i = 0; i <= wanted; i += 1) {
    const at = start + ((end - start) * i) / wanted;
    const anchor = i === 0 ? "start" : i === wanted ? "end" : "middle";
    picture.append(s("text", { class: "axis", x: x(at), y: floor + 32, "text-anchor": anchor }, day(at)));
  }
}
