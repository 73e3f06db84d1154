// What opens over the page: to give a reason, split a stop, enter a number, call, take back.

import { button, closeSheet, fill, h, holdSheet, on, openSheet, sheetName, toast } from "./dom.js";
import { dismiss, enter, troubled, waitingEntries } from "./entries.js";
import { now, post } from "./gateway.js";
import { glyph, icon, STATE_ICONS } from "./icons.js";
import { answerOf, answerText, callIcon, callName, isStanding, machineOf, moreThanMade, pendingOf, productName, question, reasonName, stopOf } from "./machine.js";
import { preferences, site } from "./setup.js";
import { clock, day, dayOf, duration, fromTo, fromZone, named, number, roughly, say, zoneFields } from "./words.js";

export async function save(machine, content, message) {
  const close = holdSheet();
  const id = await enter({ tablet: preferences().tablet, machine, ...content });
  close();
  const back = ["call", "step", "take_back"].includes(content.kind) ? null
    : button("undo", say("andon.undo"), { arg: `${machine} ${id}`, icon: icon("undo"), className: "quiet" });
  toast(message || say("andon.noted"), back);
  return id;
}

// Why a machine stood: the reasons of this machine, most used first; one tap saves.

function openReason(id, stopMs) {
  const machine = machineOf(id);
  const stop = findStop(machine, stopMs);
  const lasts = stop.end_ms === null;
  const pending = pendingOf(id);
  const given = answerOf(machine, stopMs, pending);
  const unknown = stop.state === "unknown";
  const title = unknown ? say("andon.what_did") : say("andon.why_title");
  const head = h("p", { class: "lead" },
    fromTo(stopMs, lasts ? say("andon.still") : stop.end_ms, now()), " · ",
    roughly((lasts ? now() : stop.end_ms) - stopMs),
    given ? h("span", { class: "given" }, say("andon.given", { what: answerText(given) })) : null);
  const choices = unknown ? stateChoices(id, stopMs) : reasonChoices(machine, `${id} ${stopMs} 0`);
  const more = unknown ? null : button("split", say("andon.split"), { arg: `${id} ${stopMs}`, icon: icon("cut"), className: "plain" });
  openSheet(title, [head, choices, more], { wide: true, name: "reason" });
}

function findStop(machine, stopMs) {
  const asked = machine.page ? machine.page.questions.find((item) => item.stop_ms === stopMs) : null;
  const { live } = machine;
  return stopOf(machine, stopMs) || asked || { stop_ms: stopMs, end_ms: live.since_ms === stopMs ? null : now(), state: live.state, saw: "" };
}

function reasonChoices(machine, arg) {
  const keys = machine.page ? machine.page.reasons : Object.keys(site().reasons);
  if (!keys.length) return h("p", { class: "soft" }, say("andon.no_reasons"));
  return h("div", { class: "choices" }, keys.map((key) => {
    const reason = site().reasons[key] || { state: "unplanned_stop" };
    const picture = reason.photo ? h("img", { src: `/photo/${encodeURIComponent(key)}`, alt: "", loading: "lazy" })
      : icon(reason.icon || STATE_ICONS[reason.state] || "hand", "icon choice-icon");
    return h("button", { type: "button", class: `choice s-${reason.state}`, "data-act": "choose", "data-with": `${arg} ${key}` },
      picture, h("span", null, reasonName(key)), h("small", null, say(`state.${reason.state}`)));
  }));
}

function stateChoices(id, stopMs) {
  const states = ["running", "breakdown", "planned_stop", "setup", "starved", "blocked", "unplanned_stop"];
  return h("div", { class: "choices" }, states.map((state) => h("button",
    { type: "button", class: `choice s-${state}`, "data-act": "choose-state", "data-with": `${id} ${stopMs} ${state}` },
    glyph(state, "icon choice-icon"), h("span", null, say(`state.${state}`)))));
}

function saw(machine, stopMs) {
  const mine = pendingOf(machine.id).filter((entry) => entry.stop_ms === stopMs).pop();
  if (mine) return mine.id;
  const row = stopOf(machine, stopMs);
  return row ? row.saw : "";
}

// Two reasons for one stop: where the first ends, then each.

let splitting = null;

function openSplit(id, stopMs) {
  const machine = machineOf(id);
  const stop = findStop(machine, stopMs);
  const end = stop.end_ms === null ? now() : stop.end_ms;
  const step = splitStep(end - stopMs);
  splitting = { id, stopMs, lasts: stop.end_ms === null, end, at: stopMs + Math.max(Math.round((end - stopMs) / 2 / step), 1) * step, first: "" };
  drawSplit();
}

function splitStep(length) {
  return length > 600000 ? 60000 : length > 60000 ? 10000 : 1000;
}

function drawSplit() {
  const { id, stopMs, end, at, first } = splitting;
  const machine = machineOf(id);
  const step = splitStep(end - stopMs);
  const range = h("input", { type: "range", min: 1, max: Math.max(Math.floor((end - stopMs) / step) - 1, 1), step: 1,
    value: Math.max(Math.round((at - stopMs) / step), 1), "aria-label": say("andon.split_at"), "data-step": step, id: "split-at" });
  range.addEventListener("input", () => {
    splitting.at = splitting.stopMs + Number(range.value) * step;
    fill(document.getElementById("split-words"), splitWords());
  });
  openSheet(say(first ? "andon.split_second" : "andon.split_first"), [
    h("div", { id: "split-words" }, splitWords()),
    first ? null : h("div", { class: "row split-row" },
      button("split-move", "−", { arg: `-${step}`, className: "big quiet" }), range, button("split-move", "+", { arg: String(step), className: "big quiet" })),
    reasonChoices(machine, `${id} ${stopMs} ${first ? 2 : 1}`),
  ], { wide: true, name: "split" });
}

function splitWords() {
  const { stopMs, end, at, first, lasts } = splitting;
  const part = (from, to, open, name, on) => h("div", { class: `half${on ? " on" : ""}` },
    h("b", null, fromTo(from, open ? say("andon.still") : to, now(), end - stopMs < 600000)),
    h("span", null, duration(to - from)), h("span", { class: "half-name" }, name));
  return h("div", { class: "halves" },
    part(stopMs, at, false, first ? reasonName(first) : say("andon.split_which"), !first),
    part(at, end, lasts, first ? say("andon.split_which") : "", Boolean(first)));
}

on({
  "reason": (arg) => { const [id, stopMs] = arg.split(" "); openReason(id, Number(stopMs)); },
  "split": (arg) => { const [id, stopMs] = arg.split(" "); openSplit(id, Number(stopMs)); },
  "split-move": (by) => {
    const range = document.getElementById("split-at");
    range.value = Number(range.value) + Number(by) / Number(range.dataset.step);
    range.dispatchEvent(new Event("input"));
  },
  "choose": (arg) => {
    const [id, stopText, half, ...key] = arg.split(" ");
    const [stopMs, reason] = [Number(stopText), key.join(" ")];
    const machine = machineOf(id);
    if (half === "1") {
      splitting.first = reason;
      drawSplit();
      return;
    }
    const parts = half === "2" ? [{ reason: splitting.first, until_ms: Math.round(splitting.at) }, { reason }] : [{ reason }];
    save(id, { kind: "reason", stop_ms: stopMs, parts, saw: saw(machine, stopMs) },
      say("andon.reason_noted", { what: parts.map((part) => reasonName(part.reason)).join(" + ") }));
  },
  "choose-state": (arg) => {
    const [id, stopMs, state] = arg.split(" ");
    save(id, { kind: "state", stop_ms: Number(stopMs), state, saw: saw(machineOf(id), Number(stopMs)) },
      say("andon.reason_noted", { what: say(`state.${state}`) }));
  },
  "keep-theirs": (id) => dismiss(id),
  "use-mine": (id) => {
    const item = troubled().find((one) => one.id === id);
    if (!item) return;
    const { machine, ...entry } = item.entry;
    const stands = saw(machineOf(machine), entry.stop_ms) || (item.other && item.other.id) || "";
    dismiss(id);
    save(machine, { ...entry, saw: stands });
  },
  "dismiss": (id) => dismiss(id),
  "undo": (arg) => { const [machine, id] = arg.split(" "); save(machine, { kind: "take_back", entry: id }, say("andon.taken_back")); },
});

// Numbers: a keypad that gloves can hit.

let keypad = null;

function openCount(id, kind, back, way) {
  const shift = (machineOf(id).page || { shifts: [] }).shifts[Number(back)];
  keypad = { id, kind, shiftMs: shift ? shift.start_ms : null, way, digits: "", cause: "" };
  drawCount();
}

function drawCount() {
  const { id, kind, way, shiftMs } = keypad;
  const machine = machineOf(id);
  const shifts = machine.page ? machine.page.shifts : [];
  const causes = way === "add" && kind === "rejects" ? machine.about.causes : [];
  openSheet(say(`andon.kind.${kind}`), [
    h("div", { class: "seg" }, [["add", "andon.more_pieces"], ["total", "andon.all_of_shift"]].map(([key, word]) => h("button",
      { type: "button", class: key === way ? "on" : "", "data-act": "count-way", "data-with": key }, say(word)))),
    shifts.length > 1 ? h("div", { class: "seg" }, shifts.slice(0, 2).map((shift, number_) => h("button",
      { type: "button", class: shift.start_ms === shiftMs ? "on" : "", "data-act": "count-shift", "data-with": shift.start_ms },
      say(number_ ? "andon.shift_before" : "andon.of_shift", { shift: shift.name })))) : null,
    causes.length ? h("div", { class: "pills" }, causes.map((key) => h("button",
      { type: "button", class: keypad.cause === key ? "pill on" : "pill", "data-act": "count-cause", "data-with": key }, named(site().causes[key], key)))) : null,
    h("output", { class: "typed", id: "typed" }, typed()),
    h("div", { class: "keys" }, ["7", "8", "9", "4", "5", "6", "1", "2", "3", "⌫", "0"].map((key) => button("key", key, { arg: key, className: "big quiet" })),
      button("count-save", say("andon.save"), { icon: icon("check"), className: "big strong" })),
  ], { name: "count" });
}

function typed() {
  return keypad.digits ? number(Number(keypad.digits)) : "0";
}

on({
  "add": (arg) => { const [id, kind, add] = arg.split(" "); saveMore(id, kind, null, Number(add)); },
  "total": (arg) => { const [id, shiftMs, total] = arg.split(" "); saveTotal(id, "rejects", Number(shiftMs), Number(total)); },
  "count": (arg) => openCount(...arg.split(" ")),
  "count-way": (way) => { keypad.way = way; drawCount(); },
  "count-shift": (shiftMs) => { keypad.shiftMs = Number(shiftMs); drawCount(); },
  "count-cause": (cause) => { keypad.cause = keypad.cause === cause ? "" : cause; drawCount(); },
  "key": (key) => {
    keypad.digits = key === "⌫" ? keypad.digits.slice(0, -1) : `${keypad.digits}${key}`.replace(/^0+(?=\d)/, "").slice(0, 5);
    document.getElementById("typed").textContent = typed();
  },
  "count-save": () => {
    const { id, kind, shiftMs, way, digits, cause } = keypad;
    const count = Number(digits || "0");
    if (way === "total") saveTotal(id, kind, shiftMs, count);
    else if (count) saveMore(id, kind, shiftMs, count, cause);
  },
  "doubt-sure": () => doubted.go(),
  "doubt-change": () => {
    if (doubted.typed) drawCount();
    else closeSheet();
  },
});

function saveMore(id, kind, shiftMs, add, cause) {
  askIfMoreThanMade(id, { kind, shiftMs, count: add, adds: true }, () => save(id,
    { kind, add, ...(cause ? { cause } : {}), ...(shiftMs ? { shift_ms: shiftMs } : {}) },
    say("andon.added", { n: number(add), what: say(`andon.kind.${kind}`) })));
}

// The shift goes by its beginning: it may change between two taps.
function saveTotal(id, kind, shiftMs, total) {
  const shift = machineOf(id).page.shifts.find((item) => item.start_ms === shiftMs);
  askIfMoreThanMade(id, { kind, shiftMs, count: total, adds: false }, () => save(id,
    { kind, total, ...(shiftMs ? { shift_ms: shiftMs } : {}), ...(shift && now() < shift.end_ms ? { ends: true } : {}) },
    say("andon.total_noted", { n: number(total), what: say(`andon.kind.${kind}`), shift: shift ? shift.name : "" })));
}

// A question, no refusal: pieces may be counted later, or pass no counter.

let doubted = null;

function askIfMoreThanMade(id, entry, go) {
  const doubt = moreThanMade(machineOf(id), entry);
  if (!doubt) {
    go();
    return;
  }
  doubted = { go, typed: sheetName() === "count" };
  openSheet(say("andon.doubt_title"), [
    h("p", { class: "lead" }, say("andon.doubt", { bad: number(doubt.bad), made: number(doubt.made) })),
    h("div", { class: "row" },
      button("doubt-change", say("andon.doubt_change"), { icon: icon("undo"), className: "big strong" }),
      button("doubt-sure", say("andon.doubt_sure"), { icon: icon("check"), className: "big quiet" })),
  ], { name: "doubt" });
}

// Calls

// What was called and is not solved is not called again.
function openCalls(id) {
  const { page } = machineOf(id);
  const waiting = pendingOf(id).filter((entry) => entry.kind === "call").map((entry) => [entry.value, "called"]);
  return new Map([...waiting, ...(page ? page.calls.map((call) => [call.kind, call.step]) : [])]);
}

function callChoice(id, kind, step) {
  return h("button", { type: "button", class: "choice call-choice", "data-act": "call-for", "data-with": `${id} ${kind}`, disabled: Boolean(step) },
    callIcon(kind), h("span", null, callName(kind)), step ? h("small", null, say(`andon.step.${step}`)) : null);
}

on({
  "call": (id) => {
    const open = openCalls(id);
    openSheet(say("andon.call_help"), h("div", { class: "choices" }, Object.keys(site().calls).map((kind) => callChoice(id, kind, open.get(kind)))), { name: "call" });
  },
  "call-for": (arg) => { const [id, kind] = arg.split(" "); save(id, { kind: "call", value: kind }, say("andon.called", { what: callName(kind) })); },
  "step": (arg) => { const [id, call, value] = arg.split(" "); save(id, { kind: "step", call, value }, say(`andon.step.${value}`)); },
});

// Product, order, planned stop, note

function form(kind, id, ...content) {
  const element = h("form", { class: "form" }, content, button("noop", say("andon.save"), { icon: icon("check"), className: "big strong" }));
  element.querySelector("button:last-child").setAttribute("type", "submit");
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = new FormData(element).get("value").toString().trim();
    if (value) save(id, { kind, value });
  });
  return element;
}

on({
  "noop": () => {},
  "product": (id) => {
    const machine = machineOf(id);
    const current = machine.page ? machine.page.product : "";
    openSheet(say("andon.product_title"), [
      h("p", { class: "soft" }, say("andon.from_now")),
      h("div", { class: "choices" }, (machine.page ? machine.page.products : []).map((key) => h("button",
        { type: "button", class: key === current ? "choice plainly on" : "choice plainly", "data-act": "make", "data-with": `${id} ${key}` },
        icon("box", "icon choice-icon"), h("span", null, productName(key)), h("small", null, key)))),
    ], { wide: true, name: "product" });
  },
  "make": (arg) => {
    const [id, ...key] = arg.split(" ");
    save(id, { kind: "product", value: key.join(" ") }, say("andon.product_noted", { what: productName(key.join(" ")) }));
  },
  "order": (id) => openSheet(say("andon.kind.order"), form("order", id,
    h("label", null, say("andon.order_label"), h("input", { name: "value", maxlength: 64, autocomplete: "off", enterkeyhint: "done", value: (machineOf(id).page || {}).order || "" }))), { name: "order" }),
  "note": (id) => openSheet(say("andon.kind.note"), form("note", id,
    h("label", null, say("andon.note_label"), h("textarea", { name: "value", maxlength: 200, rows: 4, autocomplete: "off" }))), { name: "note" }),
  "planned": (id) => openPlanned(id, ""),
  "plan-name": (arg) => { const [id, ...key] = arg.split(" "); openPlanned(id, key.join(" ")); },
  "plan": (arg) => {
    const [id, minutes, ...key] = arg.split(" ");
    const value = key.join(" ");
    save(id, { kind: "planned_stop", ...(value ? { value } : {}), ...(Number(minutes) ? { minutes: Number(minutes) } : {}) });
  },
});

function openPlanned(id, name) {
  const machine = machineOf(id);
  const planned = (machine.page ? machine.page.reasons : []).filter((key) => (site().reasons[key] || {}).state === "planned_stop");
  const choice = (minutes, words) => h("button", { type: "button", class: "choice plainly", "data-act": "plan", "data-with": `${id} ${minutes} ${name}` },
    h("span", null, words));
  openSheet(say("andon.kind.planned_stop"), [
    planned.length ? h("div", { class: "pills" }, ["", ...planned].map((key) => h("button",
      { type: "button", class: name === key ? "pill on" : "pill", "data-act": "plan-name", "data-with": `${id} ${key}` }, key ? reasonName(key) : say("andon.planned_any")))) : null,
    h("p", { class: "soft" }, say("andon.planned_how_long")),
    h("div", { class: "choices small" }, [10, 15, 30, 45, 60, 120].map((minutes) => choice(minutes, duration(minutes * 60000))),
      isStanding(machine.live) ? choice(0, say("andon.until_it_runs")) : null),
  ], { name: "planned" });
}

// Stops and entries of the last shifts

on({
  "stops": (id) => { listed = { what: "stops", id }; drawList(); },
  "entries": (id) => { listed = { what: "entries", id }; drawList(); },
});

let listed = null;

export function redrawSheet() {
  if (listed && ["stops", "entries"].includes(sheetName())) {
    const body = document.querySelector(".sheet-body");
    fill(body, listed.what === "stops" ? stopList(listed.id) : entryList(listed.id));
  }
}

function drawList() {
  const content = listed.what === "stops" ? stopList(listed.id) : entryList(listed.id);
  openSheet(say(listed.what === "stops" ? "andon.stops" : "andon.entered_title"), content, { wide: true, name: listed.what });
}

function stopList(id) {
  const machine = machineOf(id);
  const pending = pendingOf(id);
  const page = machine.page || { stops: [], questions: [] };
  const asked = page.questions.filter((item) => !page.stops.some((stop) => stop.stop_ms === item.stop_ms));
  const rows = [...page.stops, ...asked].sort((a, b) => b.stop_ms - a.stop_ms);
  if (!rows.length) return h("p", { class: "soft" }, say("andon.no_stops"));
  return h("div", { class: "stack" }, rows.map((item) => {
    const answer = answerOf(machine, item.stop_ms, pending);
    if (!answer && page.questions.some((one) => one.stop_ms === item.stop_ms)) return question(machine, item);
    return h("button", { type: "button", class: `question told s-${item.state}`, "data-act": "reason", "data-with": `${id} ${item.stop_ms}` },
      glyph(item.state),
      h("span", { class: "question-words" }, h("b", null, answer ? answerText(answer) : say(`state.${item.state}`)),
        h("span", null, fromTo(item.stop_ms, item.end_ms === null ? "…" : item.end_ms, now()), " · ",
          roughly((item.end_ms === null ? now() : item.end_ms) - item.stop_ms))),
      outcome(answer));
  }));
}

function outcome(answer) {
  if (!answer) return null;
  if (answer.pending) return h("span", { class: "waits" }, say("andon.waits"));
  if (answer.outcome === "refused") return h("span", { class: "waits bad" }, say("andon.refused_short"));
  return answer.outcome === "new" ? h("span", { class: "waits" }, say("andon.computing")) : icon("check", "icon told-check");
}

function entryList(id) {
  const machine = machineOf(id);
  const pending = pendingOf(id);
  const wrong = pending.filter((entry) => entry.kind === "take_back").map((entry) => entry.entry);
  const kept = (machine.page ? machine.page.entries : []).filter((entry) => !wrong.includes(entry.id));
  const rows = [...pending.filter((entry) => entry.kind !== "take_back").reverse().map((entry) => ({ ...entry, pending: true })), ...kept];
  if (!rows.length) return h("p", { class: "soft" }, say("andon.nothing_entered"));
  return h("ul", { class: "rows" }, rows.map((entry) => h("li", null,
    h("div", { class: "entry-words" },
      h("b", null, say(`andon.kind.${entry.kind}`)), h("span", null, entryText(entry)),
      h("small", { class: "soft" }, entry.at_ms ? `${clock(entry.at_ms)} · ${day(entry.at_ms)} · ` : "", entry.tablet || ""),
      entry.why ? h("small", { class: "bad-words" }, refusal(entry.why)) : null),
    outcome({ pending: entry.pending, outcome: entry.outcome }),
    entry.pending || ["call", "step"].includes(entry.kind) ? null
      : button("undo", say("andon.take_back"), { arg: `${id} ${entry.id}`, icon: icon("undo"), className: "quiet" }))));
}

export function entryText(entry) {
  if (entry.parts || entry.kind === "state") return `${answerText(entry)} · ${clock(entry.stop_ms)}`;
  if (entry.kind === "rejects" || entry.kind === "rework") {
    const cause = entry.cause ? ` · ${named(site().causes[entry.cause], entry.cause)}` : "";
    return entry.add ? `+${number(entry.add)}${cause}` : say("andon.total_of", { n: number(entry.total) });
  }
  if (entry.kind === "product") return productName(entry.value);
  if (entry.kind === "planned_stop") {
    const name = entry.value ? reasonName(entry.value) : "";
    return [name, entry.minutes ? duration(entry.minutes * 60000) : say("andon.until_it_runs")].filter(Boolean).join(" · ");
  }
  if (entry.kind === "call") return callName(entry.value);
  if (entry.kind === "maintained") return `${named((site().tasks || {})[entry.value], entry.value)} · ${dayOf(entry.due)}`;
  return entry.value || "";
}

function refusal(why) {
  const [code, ...detail] = why.split(" ");
  const at = code === "too_old" && detail.length ? Date.parse(detail[0]) : NaN;
  if (!Number.isNaN(at)) return say("declare.why.too_old_before", { at: `${clock(at)} ${day(at)}` });
  return say(`declare.why.${code}`, { detail: detail.join(" ") });
}

// The clock: a person with a watch says that the time is right, or what time it is.

on({
  "clock": () => {
    const at = Date.now();
    openSheet(say("andon.clock_title"), [
      h("p", { class: "lead" }, say("andon.clock_ask")),
      h("p", { class: "typed" }, h("time", { "data-own-clock": "" }, clock(at, true)), " ", h("small", null, day(at))),
      h("div", { class: "row" }, button("clock-right", say("andon.clock_right"), { icon: icon("check"), className: "big strong" })),
      h("form", { class: "form", id: "clock-form" },
        h("label", null, say("andon.clock_other"), h("input", { type: "datetime-local", name: "value", value: zoneFields(at), required: true })),
        h("button", { class: "button big quiet", type: "submit" }, h("span", { class: "label" }, say("andon.clock_set")))),
    ], { name: "clock" });
    document.getElementById("clock-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const typed = fromZone(new FormData(event.target).get("value").toString().slice(0, 16));
      if (typed) confirmClock(typed + 30000); // given to the minute: on average half a minute has passed since
    });
  },
  "clock-right": () => confirmClock(Date.now()),
});

async function confirmClock(atMs) {
  try {
    const answer = await post("/clock", { at_ms: Math.round(atMs) });
    closeSheet();
    toast(say(answer.ok ? "andon.clock_confirmed" : "andon.not_saved"), null, answer.ok ? "" : "bad");
  } catch (error) {
    toast(say("andon.not_saved"), null, "bad");
  }
}
