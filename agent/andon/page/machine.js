// The page of one machine: what it does, how the shift goes, what people are asked, what they can enter.

import { button, fill, h } from "./dom.js";
import { troubled, waitingEntries } from "./entries.js";
import { now, state } from "./gateway.js";
import { glyph, icon } from "./icons.js";
import { site } from "./setup.js";
import { brief, clock, duration, fromTo, named, number, percent, roughly, say, stopwatch } from "./words.js";

const STANDING = ["minor_stop", "unplanned_stop", "breakdown", "setup", "starved", "blocked", "planned_stop"];
const STACK = ["running", "minor_stop", "setup", "planned_stop", "starved", "blocked", "unplanned_stop", "breakdown", "unknown"];
const UNSURE = 0.02;
const PARTS = ["asks", "hero", "calls", "questions", "numbers", "counts", "actions", "strip"];

export function skeleton() {
  return h("main", { class: "machine" }, PARTS.map((part) => h("section", { class: `part p-${part}`, "data-part": part })));
}

export function machineOf(id) {
  const kept = state.machines[id] || {};
  return { id, live: kept.live || { state: "unknown", since_ms: null }, page: kept.machine || null, about: site().machines[id] };
}

// What waits on this tablet for a machine, without what is taken back already.
export function pendingOf(id) {
  const own = waitingEntries().filter((entry) => entry.machine === id);
  const wrong = own.filter((entry) => entry.kind === "take_back").map((entry) => entry.entry);
  return own.filter((entry) => !wrong.includes(entry.id));
}

export function render(root, id) {
  const machine = machineOf(id);
  if (!machine.about) return;
  const pending = pendingOf(id);
  const parts = {
    asks: asks(machine, pending), hero: hero(machine, pending), calls: calls(machine, pending),
    questions: questions(machine, pending), numbers: numbers(machine), counts: counts(machine, pending),
    actions: actions(machine, pending), strip: strip(machine),
  };
  for (const [name, node] of Object.entries(parts)) fill(root.querySelector(`[data-part=${name}]`), node);
}

export function isStanding(live) {
  return STANDING.includes(live.state);
}

export function reasonName(key) {
  const known = site().reasons[key];
  return known ? named(known.name, key) : key;
}

export function productName(key) {
  return key ? named(site().products[key], key) : "";
}

// The answer that stands for a stop, as this tablet knows it: its own that waits, the gateway's, or a reason from elsewhere.
export function answerOf(machine, stopMs, pending) {
  const mine = pending.filter((entry) => entry.stop_ms === stopMs && (entry.kind === "reason" || entry.kind === "state")).pop();
  if (mine) return { pending: true, parts: mine.parts, state: mine.state };
  const row = stopOf(machine, stopMs);
  if (!row) return null;
  const own = row.reason && row.answer && row.answer.outcome === "done" ? [{ reason: row.reason }] : null; // of an answer in two parts
  if (row.answer) return { parts: own || row.answer.parts, state: row.answer.state, by: row.answer.tablet, outcome: row.answer.outcome, why: row.answer.why };
  return row.reason ? { parts: [{ reason: row.reason }], by: row.by } : null;
}

export function stopOf(machine, stopMs) {
  return machine.page ? machine.page.stops.find((item) => item.stop_ms === stopMs) : null;
}

export function answerText(answer) {
  if (!answer) return "";
  if (answer.parts) return answer.parts.map((part) => reasonName(part.reason)).join(" + ");
  return say(`state.${answer.state}`);
}

function hero(machine, pending) {
  const { live, page } = machine;
  const stands = isStanding(live);
  const answer = stands && live.since_ms ? answerOf(machine, live.since_ms, pending) : null;
  const reason = answer ? answerText(answer) : live.reason ? reasonName(live.reason) : "";
  const product = productName(live.product) || (page && productName(page.product)) || "";
  const resting = live.calendar && live.calendar !== "scheduled" ? say(`calendar.${live.calendar}`) : "";
  const wants = stands && live.state === "unplanned_stop" && !reason && !resting;
  return h("div", { class: `hero s-${live.state}${wants ? " wants" : ""}` },
    h("div", { class: "hero-line" },
      glyph(live.state, "hero-glyph"),
      h("div", { class: "hero-words" },
        h("h1", null, say(`state.${live.state}`)),
        reason && h("p", { class: "hero-reason" }, reason, answer && answer.pending ? waits() : null))),
    h("div", { class: "hero-time" },
      live.since_ms ? h("b", { class: "since", "data-since": live.since_ms }, stopwatch(now() - live.since_ms)) : null,
      live.since_ms ? h("span", null, say("andon.since", { at: clock(live.since_ms) })) : null,
      resting ? h("span", { class: "tag" }, resting) : null,
      product ? h("span", { class: "tag" }, product) : null,
      page && page.order ? h("span", { class: "tag" }, say("andon.order_no", { order: page.order })) : null),
    stands && live.since_ms ? button("reason", say(reason ? "andon.change_reason" : "andon.give_reason"),
      { arg: `${machine.id} ${live.since_ms}`, icon: icon("question"), className: wants ? "big strong" : "big quiet" }) : null);
}

function waits() {
  return h("span", { class: "waits" }, say("andon.waits"));
}

// What the gateway refused or another tablet answered first, and the reminder of rejects.
function asks(machine, pending) {
  const rows = troubled().filter((item) => item.entry.machine === machine.id).map(trouble);
  const back = machine.page ? machine.page.ask_rejects : null;
  const answered = pending.some((entry) => entry.kind === "rejects" && "total" in entry);
  if (back !== null && back !== undefined && !answered) rows.push(reminder(machine, back));
  const chosen = pending.some((entry) => entry.kind === "product");
  if (machine.page && machine.about.product_by_hand && !machine.page.product && !machine.live.product && !chosen) {
    rows.push(h("div", { class: "note ask" }, h("p", null, h("b", null, say("andon.product_title"))),
      h("div", { class: "row" }, button("product", say("andon.choose_product"), { arg: machine.id, icon: icon("box"), className: "strong" }))));
  }
  return rows.length ? h("div", { class: "stack" }, rows) : null;
}

function trouble(item) {
  if (item.state === "overtaken") {
    const other = item.other || {};
    const parts = other.parts || (String(other.id || "").startsWith("=") ? [{ reason: other.id.slice(1) }] : null);
    const theirs = parts ? answerText({ parts }) : other.state ? say(`state.${other.state}`) : "–";
    return h("div", { class: "note warn" },
      h("p", null, h("b", null, say("andon.overtaken", { tablet: other.tablet || say("andon.somebody") })), " ", theirs),
      h("p", { class: "soft" }, say("andon.yours", { what: answerText(item.entry) })),
      h("div", { class: "row" },
        button("keep-theirs", say("andon.keep_theirs"), { arg: item.id, icon: icon("check") }),
        button("use-mine", say("andon.use_mine"), { arg: item.id, className: "quiet" })));
  }
  const [code, ...detail] = String(item.why || "").split(" ");
  return h("div", { class: "note bad" },
    h("p", null, h("b", null, say("andon.refused", { what: say(`andon.kind.${item.entry.kind}`) })), " ",
      say(`andon.why.${code}`, { detail: detail.join(" ") })),
    h("div", { class: "row" }, button("dismiss", say("andon.understood"), { arg: item.id, icon: icon("check") })));
}

function reminder(machine, back) {
  const shift = machine.page.shifts[back];
  const known = shift.counts.rejects || 0;
  return h("div", { class: "note ask" },
    h("p", null, h("b", null, say("andon.remind", { shift: shift.name })), " ",
      say("andon.remind_pieces", { pieces: number(shift.pieces) })),
    h("div", { class: "row" },
      button("total", known ? say("andon.remind_right", { n: number(known) }) : say("andon.remind_none"),
        { arg: `${machine.id} ${shift.start_ms} ${known}`, icon: icon("check"), className: "strong" }),
      button("count", say("andon.remind_other"), { arg: `${machine.id} rejects ${back} total`, className: "quiet" })));
}

function calls(machine, pending) {
  const open = machine.page ? machine.page.calls : [];
  const mine = pending.filter((entry) => entry.kind === "call");
  const steps = pending.filter((entry) => entry.kind === "step");
  const rows = open.filter((call) => !steps.some((step) => step.call === call.id && ["solved", "withdrawn"].includes(step.value)))
    .map((call) => callRow(machine, call, steps));
  for (const call of mine) {
    rows.push(h("div", { class: "call waiting" }, callIcon(call.value),
      h("div", { class: "call-words" }, h("b", null, callName(call.value)), waits())));
  }
  return rows.length ? h("div", { class: "stack" }, rows) : null;
}

function callRow(machine, call, steps) {
  const sent = steps.filter((step) => step.call === call.id).pop();
  const step = sent ? sent.value : call.step;
  const next = call.next.filter((item) => item !== "withdrawn" && (!sent || item !== sent.value));
  return h("div", { class: `call c-${step}` }, callIcon(call.kind),
    h("div", { class: "call-words" },
      h("b", null, callName(call.kind)),
      h("span", null, say(`andon.step.${step}`), " · ",
        h("span", { class: "since", "data-since": call.at_ms.called, "data-long": "" }, duration(now() - call.at_ms.called)))),
    h("div", { class: "row" },
      next.map((item) => button("step", say(`andon.do.${item}`), { arg: `${machine.id} ${call.id} ${item}`, className: item === "solved" ? "strong" : "quiet" })),
      step === "called" ? button("step", say("andon.do.withdrawn"), { arg: `${machine.id} ${call.id} withdrawn`, className: "plain" }) : null));
}

export function callName(kind) {
  const known = site().calls[kind];
  return known && Object.keys(known.name || {}).length ? named(known.name, kind) : say(`andon.call.${kind}`);
}

export function callIcon(kind) {
  const known = site().calls[kind];
  return icon((known && known.icon) || "bell", "icon call-icon");
}

function questions(machine, pending) {
  if (!machine.page) return null;
  const answered = pending.filter((entry) => entry.kind === "reason" || entry.kind === "state").map((entry) => entry.stop_ms);
  const rows = machine.page.questions
    .filter((item) => !answered.includes(item.stop_ms) && item.stop_ms !== (isStanding(machine.live) ? machine.live.since_ms : 0));
  if (!rows.length) return null;
  const shown = rows.slice(0, 3);
  return h("div", { class: "card" },
    h("h2", null, say("andon.questions", { n: rows.length })),
    h("div", { class: "stack" }, shown.map((item) => question(machine, item))),
    rows.length > shown.length ? button("stops", say("andon.more_questions", { n: rows.length - shown.length }), { arg: machine.id, className: "plain" }) : null);
}

export function question(machine, item) {
  const lasts = item.end_ms === null;
  const length = (lasts ? now() : item.end_ms) - item.stop_ms;
  return h("button", { type: "button", class: `question s-${item.state}`, "data-act": "reason", "data-with": `${machine.id} ${item.stop_ms}` },
    glyph(item.state),
    h("span", { class: "question-words" },
      h("b", null, roughly(length)),
      h("span", null, fromTo(item.stop_ms, lasts ? "…" : item.end_ms, now()),
        item.state === "unknown" ? ` · ${say("andon.no_signal")}` : "")),
    h("span", { class: "go" }, say("andon.why_stopped"), icon("next")));
}

function numbers(machine) {
  const shift = machine.page && machine.page.shifts[0];
  if (!shift) return h("div", { class: "tiles" }, h("div", { class: "tile" }, h("h2", null, say("andon.no_shift"))));
  return h("div", { class: "tiles" },
    machine.about.counter ? piecesTile(shift, piecesOf(machine, shift)) : null,
    oeeTile(shift));
}

// What was just counted is newer than what was last computed.
function piecesOf({ live, page }, shift) {
  const counting = shift === page.shifts[0] && live.shift === shift.name && live.pieces !== null && live.pieces !== undefined;
  return counting ? live.pieces : shift.pieces;
}

function piecesTile(shift, pieces) {
  const { due, pieces: whole, takt_s: takt, by } = shift.target;
  const gap = due === null ? null : Math.round(pieces - due);
  const share = due ? Math.min(pieces / due, 1) : 0;
  return h("div", { class: "tile" },
    h("h2", null, say("andon.pieces"), h("span", { class: "of" }, say("andon.of_shift", { shift: shift.name }))),
    h("div", { class: "figure" }, h("b", null, number(pieces)),
      gap === null ? null : h("span", { class: `gap ${gap < 0 ? "less" : "more"}` }, `${gap > 0 ? "+" : ""}${number(gap)}`)),
    due === null ? null : h("div", { class: "progress", role: "img", "aria-label": percent(share) }, h("i", { vars: { width: `${(share * 100).toFixed(1)}%` } })),
    h("p", { class: "soft" },
      due === null ? say("andon.no_target") : say("andon.due", { due: number(due) }),
      whole ? ` · ${say("andon.whole_shift", { n: number(whole) })}` : "",
      takt ? ` · ${say(by === "ideal" ? "andon.ideal" : "andon.takt", { s: brief(takt) })}` : ""));
}

// What is certain: the OEE itself, or no more than its upper bound, where that says anything.
export function oeeText(kpis) {
  if (kpis.oee !== null) return percent(kpis.oee);
  return kpis.oee_high === null || kpis.oee_high >= 0.995 ? "–" : `≤ ${percent(kpis.oee_high)}`;
}

function oeeTile(shift) {
  const { kpis, why } = shift;
  const span = kpis.oee_high !== null && kpis.oee_low !== null ? kpis.oee_high - kpis.oee_low : 0;
  const wide = span > UNSURE && span < 0.99;
  const cause = kpis.oee === null ? why.oee : null;
  return h("div", { class: "tile" },
    h("h2", null, "OEE", h("span", { class: "of" }, say(shift.on ? "andon.this_shift" : "andon.last_shift", { shift: shift.name }))),
    h("div", { class: "figure" }, h("b", null, oeeText(kpis))),
    h("p", { class: "soft" },
      wide ? say("andon.bounds", { low: percent(kpis.oee_low), high: percent(kpis.oee_high) }) : "",
      wide && cause ? " · " : "",
      cause ? `${say(cause === "quality_not_known" ? "andon.quality_not_known" : `why_null.${cause}`)}` : ""),
    h("div", { class: "factors" }, ["availability", "performance", "quality"].map((key) => factor(key, kpis[key]))));
}

function factor(key, value) {
  const width = value === null ? 0 : Math.min(Math.max(value, 0), 1) * 100;
  return h("div", { class: `factor f-${key}` }, h("span", null, say(`andon.factor.${key}`)),
    h("div", { class: "progress" }, h("i", { vars: { width: `${width.toFixed(1)}%` } })), h("b", null, percent(value)));
}

// What was added to the shift's count, less what was taken back, and is not sent yet.
function waitingOf({ page }, kind, shift, pending) {
  const shown = (entry) => entry.kind === kind && entry.add && (entry.shift_ms || page.shifts[0].start_ms) === shift.start_ms;
  const wrong = pending.filter((entry) => entry.kind === "take_back").map((entry) => entry.entry);
  const back = page.entries.filter((entry) => wrong.includes(entry.id) && shown(entry) && entry.at_ms >= shift.start_ms);
  const sum = (rows) => rows.reduce((all, entry) => all + entry.add, 0);
  return sum(pending.filter(shown)) - sum(back);
}

// More rejects and rework than pieces would make quality negative: { made, bad }; null where the count can be right.
export function moreThanMade(machine, { kind, shiftMs, count, adds }) {
  const shifts = machine.page ? machine.page.shifts : [];
  const shift = shiftMs ? shifts.find((item) => item.start_ms === shiftMs) : shifts[0];
  if (!machine.about.counter || !shift || !count) return null;
  const pending = pendingOf(machine.id);
  const stands = (one) => (shift.counts[one] || 0) + waitingOf(machine, one, shift, pending);
  const others = machine.about.counts.filter((one) => one !== kind || adds).reduce((all, one) => all + stands(one), 0);
  const [made, bad] = [piecesOf(machine, shift), count + others];
  return bad > made ? { made, bad } : null;
}

function counts(machine, pending) {
  const kinds = machine.about.counts;
  const shift = machine.page && machine.page.shifts[0];
  if (!kinds.length || !shift) return null;
  return h("div", { class: "stack" }, kinds.map((kind) => {
    const [known, waiting] = [shift.counts[kind], waitingOf(machine, kind, shift, pending)];
    const arg = `${machine.id} ${kind}`;
    return h("div", { class: `counter k-${kind}` },
      h("div", { class: "counter-words" },
        h("h2", null, say(`andon.kind.${kind}`)),
        h("p", null, h("b", null, known === null && !waiting ? "–" : number((known || 0) + waiting)),
          h("span", { class: "soft" }, known === null && !waiting ? say("andon.not_counted") : say("andon.of_shift", { shift: shift.name }),
            waiting ? waits() : null))),
      h("div", { class: "row" },
        button("add", "+1", { arg: `${arg} 1`, className: "big count" }),
        button("add", "+5", { arg: `${arg} 5`, className: "big count" }),
        button("count", say("andon.number"), { arg: `${arg} 0 add`, className: "big quiet" })));
  }));
}

// Maintenance that is due and that nobody here has said to be done.
export function dueOf(page, pending) {
  return (page.maintenance || []).filter((row) => !pending.some((entry) => entry.kind === "maintained" && entry.value === row.task && entry.due === row.due));
}

function actions(machine, pending) {
  const { id, about, page } = machine;
  const entered = (page ? page.entries.length : 0) + pending.length;
  return h("div", { class: "actions" },
    button("call", say("andon.call_help"), { arg: id, icon: icon("bell"), className: "action call-help" }),
    about.product_by_hand ? button("product", say("andon.kind.product"), { arg: id, icon: icon("box"), className: "action" }) : null,
    button("order", say("andon.kind.order"), { arg: id, icon: icon("flag"), className: "action" }),
    button("planned", say("andon.kind.planned_stop"), { arg: id, icon: icon("clock"), className: "action" }),
    button("stops", say("andon.stops"), { arg: id, icon: icon("hand"), className: "action" }),
    page && site().tasks && (page.maintenance || []).length ? button("maintenance", say("andon.maintenance", { n: dueOf(page, pending).length }),
      { arg: id, icon: icon("wrench"), className: "action" }) : null,
    button("note", say("andon.kind.note"), { arg: id, icon: icon("note"), className: "action" }),
    button("entries", entered ? say("andon.entered", { n: entered }) : say("andon.nothing_entered"), { arg: id, icon: icon("list"), className: "action" }));
}

function strip(machine) {
  const shift = machine.page && machine.page.shifts[0];
  if (!shift) return null;
  const first = Math.floor(shift.start_ms / 600000) * 600000;
  const known = new Map(shift.bars);
  const columns = [];
  for (let at = first; at < shift.end_ms; at += 600000) {
    const times = known.get(at);
    columns.push(h("i", { class: times ? "bar" : "bar none" },
      times ? STACK.filter((name) => times[name]).map((name) => h("i", { class: `s-${name}`, vars: { height: `${(times[name] / 6000).toFixed(2)}%` } })).reverse() : null));
  }
  const spent = STACK.filter((name) => shift.times[name] >= 1000).sort((a, b) => shift.times[b] - shift.times[a]);
  return h("div", { class: "card" },
    h("h2", null, say("andon.what_ran", { shift: shift.name })),
    h("div", { class: "bars", "aria-hidden": "true" }, columns),
    h("div", { class: "scale" }, [0, 0.25, 0.5, 0.75, 1].map((share) => h("span", null, clock(shift.start_ms + share * (shift.end_ms - shift.start_ms))))),
    h("ul", { class: "times" }, spent.map((name) => h("li", { class: `s-${name}` }, glyph(name), h("span", null, say(`state.${name}`)), h("b", null, roughly(shift.times[name]))))));
}
