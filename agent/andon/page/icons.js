// Drawings on a 24 x 24 grid, and one shape for each state, so that states differ by more than colour.

import { svg } from "./dom.js";

const LINE = { fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round", "stroke-linejoin": "round" };
const line = (d) => ["path", { d, ...LINE }];
const full = (d) => ["path", { d, fill: "currentColor" }];
const ring = (cx, cy, r) => ["circle", { cx, cy, r, ...LINE }];
const dot = (cx, cy, r) => ["circle", { cx, cy, r, fill: "currentColor" }];

const ICONS = {
  alarm: [line("M12 4a6 6 0 0 1 6 6v5l2 3H4l2-3v-5a6 6 0 0 1 6-6zM10 21h4")],
  box: [line("M3 8l9-5 9 5v8l-9 5-9-5zM3 8l9 5 9-5M12 13v8")],
  brush: [line("M14 4l6 6-7 7-6-6zM7 11l-4 8 2 2 8-4")],
  clock: [ring(12, 12, 9), line("M12 7v5l4 2")],
  cog: [ring(12, 12, 3), line("M12 2v4M12 18v4M2 12h4M18 12h4M5 5l3 3M16 16l3 3M19 5l-3 3M8 16l-3 3")],
  cup: [line("M5 9h12v6a5 5 0 0 1-5 5h-2a5 5 0 0 1-5-5zM17 10h2a2 2 0 0 1 0 5h-2M8 3v3M12 3v3")],
  die: [line("M4 4h16v5H4zM4 15h16v5H4zM8 9v2h8V9M8 15v-2h8v2")],
  drop: [line("M12 3c4 5 6 8 6 11a6 6 0 0 1-12 0c0-3 2-6 6-11z")],
  flag: [line("M5 21V4M5 4h12l-2 4 2 4H5")],
  hand: [line("M8 12V5a1.5 1.5 0 0 1 3 0v6V4a1.5 1.5 0 0 1 3 0v7V6a1.5 1.5 0 0 1 3 0v9a6 6 0 0 1-11 3l-3-5a1.6 1.6 0 0 1 2.6-1.8z")],
  jam: [line("M4 5h16M4 19h16M8 5v4l4 3-4 3v4M16 5v4l-4 3 4 3v4")],
  people: [ring(9, 8, 3.2), ring(17, 9, 2.4), line("M3 20c.4-4 2.8-6 6-6s5.6 2 6 6M16 14c3 0 4.6 2 5 5")],
  plug: [line("M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4")],
  scale: [line("M12 3v18M7 21h10M4 7h16M4 7l-2.5 7h5zM20 7l-2.5 7h5z")],
  spool: [line("M6 3h12M6 21h12M8 3v18M16 3v18M8 9l8-2M8 13l8-2M8 17l8-2")],
  swap: [line("M4 8h14l-4-4M20 16H6l4 4")],
  thermometer: [line("M10 4a2 2 0 0 1 4 0v9a4 4 0 1 1-4 0zM12 9v8")],
  tool: [line("M14 7a4 4 0 0 1 5-5l-2.5 3 2.5 2.5 3-2.5a4 4 0 0 1-5 5L7 20a2.1 2.1 0 0 1-3-3z")],
  truck: [line("M2 6h12v10H2zM14 10h4l4 3v3h-8"), ring(7, 18, 2), ring(18, 18, 2)],
  wrench: [line("M14 7a4 4 0 0 1 5-5l-2.5 3 2.5 2.5 3-2.5a4 4 0 0 1-5 5L7 20a2.1 2.1 0 0 1-3-3z")],
  // of the page itself
  bell: [line("M12 4a6 6 0 0 1 6 6v5l2 3H4l2-3v-5a6 6 0 0 1 6-6zM10 21h4")],
  note: [line("M5 3h10l4 4v14H5zM9 10h6M9 14h6")],
  list: [line("M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01")],
  gear: [ring(12, 12, 3), line("M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2")],
  grid: [line("M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z")],
  wall: [line("M3 4h18v12H3zM9 20h6M12 16v4")],
  laptop: [line("M5 5h14v10H5zM2 19h20")],
  back: [line("M15 5l-7 7 7 7")],
  next: [line("M9 5l7 7-7 7")],
  check: [line("M4 13l5 5L20 7")],
  undo: [line("M4 9h10a5 5 0 0 1 0 10H8M4 9l4-4M4 9l4 4")],
  cut: [line("M12 3v4M12 10v4M12 17v4M4 8h5v8H4zM15 8h5v8h-5z")],
  reject: [ring(12, 12, 9), line("M8.5 8.5l7 7M15.5 8.5l-7 7")],
  again: [line("M5 12a7 7 0 0 1 12-5l2 2M19 4v5h-5M19 12a7 7 0 0 1-12 5l-2-2M5 20v-5h5")],
  question: [line("M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .6-1.5 1.2-1.5 2.3"), dot(12, 18.5, 1.3)],
  offline: [line("M3 3l18 18M8.5 12.5a6 6 0 0 1 2-1M5 9a11 11 0 0 1 3.5-2.200M12 6c3 0 5.5 1.2 7.5 3M15.5 12.5l-1-.7"), dot(12, 18, 1.4)],
};

const STATES = {
  running: [full("M7 4v16l13-8z")],
  minor_stop: [full("M6.5 4.5h4v15h-4zM13.5 4.5h4v15h-4z")],
  unplanned_stop: [["rect", { x: 4.5, y: 4.5, width: 15, height: 15, rx: 2, fill: "currentColor" }]],
  breakdown: [["path", { d: "M12 2.5L23 21H1zM11 9l.4 6h1.2l.4-6zM11 16.5h2v2h-2z", fill: "currentColor", "fill-rule": "evenodd" }]],
  setup: ICONS.swap,
  starved: [line("M2 12h8M7 8l4 4-4 4M15 5h6v14h-6z")],
  blocked: [full("M2.5 5h7v14h-7z"), line("M12.5 12h5M20.5 5v14")],
  planned_stop: ICONS.clock,
  unknown: ICONS.question,
};

export function icon(name, className = "icon") {
  return svg("0 0 24 24", className, ...(ICONS[name] || ICONS.question));
}

export function glyph(state, className = "glyph") {
  return svg("0 0 24 24", className, ...(STATES[state] || STATES.unknown));
}

export const STATE_ICONS = {
  breakdown: "wrench", setup: "swap", starved: "box", blocked: "truck", planned_stop: "clock", unplanned_stop: "hand",
};
