// Elements from words: every text that comes from a note is a text node, and nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  put(element, ...children);
  return element;
}

export function put(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/** An element of HTML: h("p", {class: "soft"}, "words", h("b", {}, "more")). */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An element of SVG. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** In place of what an element held. */
export function fresh(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

/** Tell those who listen instead of looking. */
export function say(words) {
  const place = document.getElementById("said");
  place.textContent = "";
  setTimeout(() => {
    place.textContent = words;
  }, 30);
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A function that runs once its calls have paused. */
export function paused(work, milliseconds = 280) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}
