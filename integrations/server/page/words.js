// Moments, numbers and names as people read them.

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const MOMENT = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const NUMBER = new Intl.NumberFormat("en-US");

export const day = (iso) => DAY.format(new Date(iso));
export const moment = (iso) => MOMENT.format(new Date(iso));
export const number = (value) => NUMBER.format(value);
export const percent = (share) => `${Math.round(100 * share)} %`;
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;
export const short = (text, most = 90) => (text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text);

export function days(value) {
  if (value < 1) return count(Math.max(1, Math.round(24 * value)), "hour");
  if (value < 60) return count(Math.round(value), "day");
  if (value < 730) return count(Math.round(value / 30.4), "month");
  return count(Math.round(value / 365), "year");
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB"];
  let at = 0;
  let left = value;
  while (left >= 1000 && at < units.length - 1) {
    left /= 1000;
    at += 1;
  }
  return `${left.toFixed(at && left < 10 ? 1 : 0)} ${units[at]}`;
}

export const span = (from, to) => (from === to || day(from) === day(to) ? day(from) : `${day(from)} – ${day(to)}`);

/** The parts of a score: a name, and what it means. */
const PARTS = {
  semantic: ["meaning", "how near it is in meaning"],
  text: ["words", "words in common with the query, rare ones more"],
  links: ["linked", "notes linked to it fit, too"],
  session: ["conversation", "its conversation is about this"],
  answers: ["asked before", "it answered a question like this one"],
  actor: ["speaker", "said by or about who is asked for"],
  time: ["time", "it happened when the query asks for"],
  length: ["length", "longer notes tell more"],
  retrievability: ["strength", "how well it is remembered"],
  importance: ["importance", "how much it matters"],
  newer: ["newer", "it is the newer of two that say the same"],
  updates: ["update", "a newer note says otherwise"],
  successor: ["successor", "it took the place of a note that fits"],
  superseded: ["over", "it no longer holds"],
  question: ["a question", "it asks rather than tells"],
  asked: ["asks", "it mostly asks"],
  echo: ["echo", "it repeats the question"],
  reply: ["a reply", "said by a machine"],
  repeated: ["repeated", "another hit says the same"],
  restates: ["restates", "it says again what a note before it said"],
  interference: ["interference", "others like it are in the way"],
  untrusted: ["trust", "its source is not much trusted"],
  rerank: ["read again", "a second reader's judgement"],
};
export const part = (name) => PARTS[name] ?? [name, ""];

/** The parts of what the policy makes of a fact. */
export const WORTH = {
  use: "used",
  spacing: "on several days",
  retrievability: "remembered",
  stability: "unchanged",
  tokens: "saves prompt",
  importance: "matters",
  resistance: "not believed from notes",
  interference: "near other edits",
};

export const KINDS = {
  episodic: "said or done",
  semantic: "distilled",
  experience: "experience",
  record: "record",
  summary: "summary",
  portrait: "portrait",
  thought: "thought",
};
