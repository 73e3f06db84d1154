// A screen for a line, or for all machines: read from the other end of the hall.

import { fill, h } from "./dom.js";
import { now } from "./gateway.js";
import { glyph } from "./icons.js";
import { callIcon, callName, isStanding, machineOf, oeeText, productName, reasonName } from "./machine.js";
import { site } from "./setup.js";
import { clock, duration, named, number, say, stopwatch } from "./words.js";

export function wallMachines(line) {
  return Object.entries(site().machines).filter(([, machine]) => !line || machine.line === line).map(([id]) => id);
}

export function wallSkeleton(line) {
  const name = line ? named(site().lines[line], line) : named(site().name, site().site);
  return h("main", { class: "wall" },
    h("header", { class: "wall-head" }, h("h1", null, name), h("div", { "data-part": "wall-calls" }), h("time", { class: "now", "data-clock": "" })),
    h("div", { "data-part": "wall-grid", class: "wall-place" }));
}

export function renderWall(root, line) {
  const machines = wallMachines(line).map(machineOf);
  const calls = machines.flatMap((machine) => (machine.page ? machine.page.calls : []).map((call) => [machine, call]));
  fill(root.querySelector("[data-part=wall-calls]"), h("div", { class: "wall-calls" }, calls.map(([machine, call]) => h("div", { class: `call c-${call.step}` },
    callIcon(call.kind), h("div", { class: "call-words" }, h("b", null, `${callName(call.kind)} · ${named(machine.about.name, machine.id)}`),
      h("span", null, say(`andon.step.${call.step}`), " · ", h("span", { class: "since", "data-since": call.at_ms.called, "data-long": "" }, duration(now() - call.at_ms.called))))))));
  const columns = columnsFor(machines.length);
  fill(root.querySelector("[data-part=wall-grid]"), h("div", { class: "wall-grid",
    vars: { "--columns": columns, "--rows": Math.ceil(machines.length / columns) } }, machines.map(card)));
}

// So many columns that the letters become as large as they can: a card is two thirds as high as it is wide.
function columnsFor(count) {
  let best = 1;
  const size = (columns) => Math.min(innerWidth / columns, innerHeight / Math.ceil(count / columns) / 0.7);
  for (let columns = 2; columns <= count; columns += 1) if (size(columns) > size(best)) best = columns;
  return best;
}

function card(machine) {
  const { id, live, page, about } = machine;
  const shift = page && page.shifts[0];
  const pieces = live.pieces !== null && live.pieces !== undefined ? live.pieces : shift ? shift.pieces : null;
  const due = shift ? shift.target.due : null;
  const gap = due === null || pieces === null ? null : Math.round(pieces - due);
  const called = page && page.calls.length;
  return h("a", { class: `wall-card s-${live.state}${called ? " called" : ""}`, href: `#/m/${encodeURIComponent(id)}` },
    h("div", { class: "wall-name" }, h("h2", null, named(about.name, id)), live.product ? h("span", null, productName(live.product)) : null),
    h("div", { class: "wall-state" }, glyph(live.state),
      h("div", null, h("b", null, live.reason ? reasonName(live.reason) : say(`state.${live.state}`)),
        live.since_ms ? h("span", { class: "since", "data-since": live.since_ms }, isStanding(live) ? stopwatch(now() - live.since_ms) : say("andon.since", { at: clock(live.since_ms) })) : null)),
    h("div", { class: "wall-numbers" },
      about.counter ? h("div", null, h("b", null, number(pieces)), gap === null ? null : h("span", { class: `gap ${gap < 0 ? "less" : "more"}` }, `${gap > 0 ? "+" : ""}${number(gap)}`)) : null,
      shift ? h("div", null, h("small", null, "OEE"), h("b", null, oeeText(shift.kpis))) : null));
}
