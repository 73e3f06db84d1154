// The page at the machine: starts, chooses the view, and redraws what changed.

import { button, closeSheet, fill, h, sheetName, text } from "./dom.js";
import { onEntries, onlyInMemory, openEntries, sendWaiting, troubled, waitingEntries } from "./entries.js";
import { connect, now, onChange, recall, state } from "./gateway.js";
import { icon } from "./icons.js";
import { machineOf, render, skeleton } from "./machine.js";
import { apply, loadSite, loadWords, onUnlock, ownMachines, pinView, preferences, site } from "./setup.js";
import { redrawSheet } from "./sheets.js";
import { startTech, techSkeleton } from "./tech.js";
import "./upkeep.js";
import { renderWall, wallMachines, wallSkeleton } from "./wall.js";
import { clock, duration, named, number, say, stopwatch } from "./words.js";

const app = document.getElementById("app");
let view = { name: "", arg: "" };
let root = null;
let drawing = 0;
let siteDigest = "";
const RENEW_MS = 60000;

function where() {
  const [name, arg] = location.hash.replace(/^#\/?/, "").split("/");
  if (name === "wall" || name === "tech") return { name, arg: decodeURIComponent(arg || "") };
  const own = ownMachines();
  const wanted = name === "m" ? decodeURIComponent(arg || "") : "";
  return { name: "machine", arg: site().machines[wanted] ? wanted : own[0] || "" };
}

function shownMachines() {
  if (view.name === "wall") return wallMachines(view.arg);
  const own = ownMachines();
  return own.includes(view.arg) || !view.arg ? own : [view.arg, ...own];
}

function show() {
  if (state.locked) { app.replaceChildren(pinView()); root = null; return; }
  const next = where();
  if (!root || next.name !== view.name || next.arg !== view.arg) {
    view = next;
    closeSheet();
    root = view.name === "wall" ? wallSkeleton(view.arg) : view.name === "tech" ? techSkeleton() : skeleton();
    app.replaceChildren(h("header", { class: "top", "data-part": "top" }), h("div", { class: "banners", "data-part": "banners" }), root);
    document.body.className = `v-${view.name}`;
    if (view.name === "tech") startTech(root, view.arg);
    scrollTo(0, 0);
  }
  connect(shownMachines());
  drawNow();
  const chosen = app.querySelector(".tab.on");
  if (chosen) chosen.scrollIntoView({ block: "nearest", inline: "center" });
}

// At most one redraw for many changes that come together.
function draw() {
  if (!drawing) drawing = setTimeout(() => { drawing = 0; drawNow(); }, 30);
}

function drawNow() {
  if (!root) return;
  fill(app.querySelector("[data-part=top]"), top());
  fill(app.querySelector("[data-part=banners]"), banners());
  if (view.name === "wall") renderWall(root, view.arg);
  else if (view.name === "machine" && view.arg) render(root, view.arg);
  redrawSheet();
  tick();
}

function top() {
  const own = ownMachines();
  const several = view.name === "machine" && own.length > 1;
  const waiting = waitingEntries().length;
  return h("div", { class: "top-line" },
    view.name === "machine" ? null : h("a", { class: "round", href: "#/", "aria-label": say("andon.back") }, icon("back")),
    several ? [h("h1", { class: "title only-narrow" }, named(site().machines[view.arg].name, view.arg)), h("nav", { class: "tabs", "data-scroll": "tabs" }, own.map(tab))]
      : h("h1", { class: "title" }, view.name === "machine" ? named((site().machines[view.arg] || {}).name, view.arg) : say(view.name === "wall" ? "andon.wall" : "andon.tech")),
    h("div", { class: "top-right" },
      waiting ? h("span", { class: "queue" }, say("andon.queue", { n: number(waiting) })) : null,
      h("time", { class: "now", "data-clock": "" }, clock(now())),
      h("i", { class: state.connected ? "lamp on" : "lamp", title: say(state.connected ? "andon.connected" : "andon.not_reached") }),
      button("setup", "", { icon: icon("gear"), className: "round", "aria-label": say("andon.setup") })));
}

function tab(id) {
  const machine = machineOf(id);
  const asked = machine.page ? machine.page.questions.length + (machine.page.ask_rejects === null ? 0 : 1) : 0;
  return h("a", { class: `tab s-${machine.live.state}${id === view.arg ? " on" : ""}`, href: `#/m/${encodeURIComponent(id)}` },
    h("i", { class: "tab-lamp" }), h("span", null, named(machine.about.name, id)), asked ? h("b", { class: "badge" }, number(asked)) : null);
}

function banners() {
  const rows = [];
  if (!state.connected) {
    rows.push(h("div", { class: "banner bad", role: "alert" }, icon("offline"), h("span", null,
      state.lostAt ? say("andon.lost", { at: clock(state.lostAt) }) : say("andon.connecting"), " ", say("andon.lost_keeps"))));
  }
  if (state.hello && !state.hello.trusted) {
    rows.push(h("div", { class: "banner warn", role: "alert" }, icon("clock"), h("span", null, say("andon.clock_untrusted")), button("clock", say("andon.clock_confirm"), { className: "quiet" })));
  }
  if (state.hello && state.hello.trouble) rows.push(h("div", { class: "banner bad", role: "alert" }, icon("question"), h("span", null, say("andon.disk_trouble"))));
  if (onlyInMemory()) rows.push(h("div", { class: "banner warn", role: "alert" }, icon("question"), h("span", null, say("andon.only_memory"))));
  const others = troubled().filter((item) => item.entry.machine !== view.arg);
  if (view.name === "machine" && others.length) {
    rows.push(h("div", { class: "banner warn" }, icon("question"), h("span", null,
      say("andon.trouble_elsewhere", { machine: named((site().machines[others[0].entry.machine] || {}).name, others[0].entry.machine) }))));
  }
  return rows.length ? h("div", null, rows) : null;
}

// Running times and the clock change every second; nothing else is touched.
function tick() {
  const at = now();
  for (const element of document.querySelectorAll("[data-since]")) {
    const spent = at - Number(element.dataset.since);
    if ("long" in element.dataset) text(element, duration(spent));
    else if (!element.closest(".wall-card.s-running")) text(element, stopwatch(spent));
  }
  for (const element of document.querySelectorAll("[data-clock]")) text(element, clock(at));
  for (const element of document.querySelectorAll("[data-own-clock]")) text(element, clock(Date.now(), true));
  document.documentElement.classList.toggle("stale", !state.connected);
}

// The gateway has a newer page: taken when nobody is at this one, and not over and over where a cache still has the old one.
const RENEWED = "nhip.renewed";
function renew() {
  const own = document.documentElement.dataset.version;
  if (state.hello.page === own || sheetName() || onlyInMemory()) return;
  try {
    const [of, at] = JSON.parse(sessionStorage.getItem(RENEWED) || "[\"\", 0]");
    if (of === state.hello.page && Date.now() - at < RENEW_MS) return;
    sessionStorage.setItem(RENEWED, JSON.stringify([state.hello.page, Date.now()]));
  } catch (error) { return; }
  location.reload();
}

onChange((what) => {
  if (what === "locked") { root = null; show(); return; }
  if (what === "hello") renew();
  if (what === "hello" && state.hello.site !== siteDigest) {
    const first = !siteDigest;
    siteDigest = state.hello.site;
    if (!first) loadSite().then(() => { root = null; show(); }).catch(() => {});
  }
  draw();
});
onEntries(draw);
onUnlock(() => start());
addEventListener("hashchange", () => { closeSheet(); show(); });
addEventListener("preferred", () => { const name = view.name; root = name ? null : root; show(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
setInterval(tick, 1000);
addEventListener("resize", draw);

async function start() {
  try {
    if (!(await loadSite())) { state.locked = true; show(); return; }
  } catch (error) {
    app.replaceChildren(h("main", { class: "pin" }, icon("offline", "icon pin-icon"), h("h1", null, say("andon.not_reached")), h("p", { class: "soft" }, say("andon.tries_again"))));
    setTimeout(start, 3000);
    return;
  }
  state.locked = false;
  root = null;
  show();
  sendWaiting();
  for (const [key, reason] of Object.entries(site().reasons)) if (reason.photo) new Image().src = `/photo/${encodeURIComponent(key)}`;
}

async function boot() {
  apply();
  recall();
  await openEntries();
  for (;;) {
    try {
      await loadWords();
      break;
    } catch (error) {
      await new Promise((again) => setTimeout(again, 2000));
    }
  }
  preferences();
  if ("serviceWorker" in navigator) navigator.serviceWorker.register("/sw.js").catch(() => {});
  start();
}

boot();
