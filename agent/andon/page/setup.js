// What the page knows of the site, what this tablet prefers, and the PIN.

import { button, closeSheet, h, on, openSheet, toast } from "./dom.js";
import { post, state } from "./gateway.js";
import { icon } from "./icons.js";
import { named, say, setLang, setWords, setZone } from "./words.js";

const KEPT = "nhip.tablet";
let known = null;
let kept = null;

export function site() { return known || { machines: {}, reasons: {}, products: {}, calls: {}, causes: {}, lines: {}, devices: [] }; }

export function preferences() {
  if (kept) return kept;
  try {
    kept = JSON.parse(localStorage.getItem(KEPT) || "null");
  } catch (error) { kept = null; }
  if (!kept) kept = { tablet: `t-${Math.random().toString(36).slice(2, 6)}`, machines: [], lang: "vi", theme: "auto" };
  return kept;
}

function prefer(changes) {
  kept = { ...preferences(), ...changes };
  try {
    localStorage.setItem(KEPT, JSON.stringify(kept));
  } catch (error) { /* for this visit only */ }
  apply();
}

export function apply() {
  const { lang, theme } = preferences();
  setLang(lang);
  const dark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

export async function loadWords() {
  const answer = await fetch("/words.json");
  setWords((await answer.json()).words);
}

// False if the gateway asks for a PIN first.
export async function loadSite() {
  const answer = await fetch("/site.json");
  if (answer.status === 401) return false;
  if (!answer.ok) throw new Error(`site ${answer.status}`);
  known = await answer.json();
  setZone(known.timezone);
  document.title = `Nhịp · ${named(known.name, known.site)}`;
  return true;
}

// The machines that this tablet is for; all without a choice.
export function ownMachines() {
  const all = Object.keys(site().machines);
  const chosen = preferences().machines.filter((id) => all.includes(id));
  return chosen.length ? chosen : all;
}

export function pinView(message) {
  return h("main", { class: "pin" },
    icon("hand", "icon pin-icon"),
    h("h1", null, say("andon.pin_title")),
    h("p", { class: "soft", id: "pin-words" }, message || say("andon.pin_hint")),
    h("output", { class: "typed", id: "pin-typed" }, ""),
    h("div", { class: "keys" }, ["7", "8", "9", "4", "5", "6", "1", "2", "3", "⌫", "0"].map((key) => button("pin-key", key, { arg: key, className: "big quiet" })),
      button("pin-send", say("andon.pin_send"), { icon: icon("check"), className: "big strong" })));
}

let digits = "";
let unlocked = () => {};
export function onUnlock(handler) { unlocked = handler; }

on({
  "pin-key": (key) => {
    digits = key === "⌫" ? digits.slice(0, -1) : (digits + key).slice(0, 12);
    document.getElementById("pin-typed").textContent = "●".repeat(digits.length);
  },
  "pin-send": async () => {
    const pin = digits;
    digits = "";
    const words = document.getElementById("pin-words");
    document.getElementById("pin-typed").textContent = "";
    try {
      const answer = await post("/pin", { pin });
      if (answer.ok) {
        state.locked = false;
        unlocked();
        return;
      }
      const { wait_s: wait } = await answer.json();
      words.textContent = wait ? say("andon.pin_wait", { s: wait }) : say("andon.pin_wrong");
    } catch (error) {
      words.textContent = say("andon.not_reached");
    }
  },
});

addEventListener("keydown", (event) => {
  if (!document.querySelector("main.pin")) return;
  const key = event.key === "Backspace" ? "⌫" : event.key === "Enter" ? "send" : /^\d$/.test(event.key) ? event.key : "";
  const button_ = key === "send" ? document.querySelector("[data-act=pin-send]")
    : [...document.querySelectorAll("[data-act=pin-key]")].find((item) => item.dataset.with === key);
  if (button_) { event.preventDefault(); button_.click(); }
});

// Settings of this tablet

on({
  "setup": () => drawSetup(),
  "lang": (code) => { prefer({ lang: code }); drawSetup(); dispatchEvent(new Event("preferred")); },
  "theme": (theme) => { prefer({ theme }); drawSetup(); },
  "own": (id) => {
    const before = preferences().machines;
    prefer({ machines: before.includes(id) ? before.filter((item) => item !== id) : [...before, id] });
    drawSetup();
    dispatchEvent(new Event("preferred"));
  },
});

function drawSetup() {
  const { tablet, machines, lang, theme } = preferences();
  const segment = (act, current, choices) => h("div", { class: "seg" }, choices.map(([key, words]) => h("button",
    { type: "button", class: key === current ? "on" : "", "data-act": act, "data-with": key }, words)));
  const name = h("form", { class: "form", id: "tablet-form" },
    h("label", null, say("andon.tablet_name"), h("input", { name: "value", value: tablet, maxlength: 32, autocomplete: "off" }),
      h("small", { class: "soft", id: "tablet-hint" }, say("andon.tablet_hint"))),
    h("button", { class: "button quiet", type: "submit" }, h("span", { class: "label" }, say("andon.save"))));
  name.addEventListener("submit", (event) => {
    event.preventDefault();
    const value = new FormData(name).get("value").toString().normalize("NFC").trim();
    if (/^[\p{L}\p{N}_][\p{L}\p{N}_ .-]{0,31}$/u.test(value)) {
      prefer({ tablet: value });
      closeSheet();
      toast(say("andon.kept"));
    } else {
      const hint = document.getElementById("tablet-hint");
      hint.textContent = say("andon.tablet_wrong");
      hint.className = "bad-words";
    }
  });
  openSheet(say("andon.setup"), [
    h("h3", null, say("andon.language")), segment("lang", lang, [["vi", "Tiếng Việt"], ["en", "English"]]),
    h("h3", null, say("andon.theme")), segment("theme", theme, [["auto", say("andon.theme_auto")], ["light", say("andon.theme_light")], ["dark", say("andon.theme_dark")]]),
    Object.keys(site().machines).length > 1 ? [h("h3", null, say("andon.own_machines")),
      h("div", { class: "pills" }, Object.entries(site().machines).map(([id, machine]) => h("button",
        { type: "button", class: machines.includes(id) ? "pill on" : "pill", "data-act": "own", "data-with": id }, named(machine.name, id))))] : null,
    name,
    h("h3", null, say("andon.other_views")),
    h("div", { class: "row" },
      h("a", { class: "button quiet", href: "#/wall" }, icon("wall"), h("span", { class: "label" }, say("andon.wall"))),
      Object.keys(site().lines).length > 1 ? Object.entries(site().lines).map(([id, line]) => h("a", { class: "button quiet", href: `#/wall/${encodeURIComponent(id)}` },
        icon("wall"), h("span", { class: "label" }, named(line, id)))) : null,
      h("a", { class: "button quiet", href: "#/tech" }, icon("laptop"), h("span", { class: "label" }, say("andon.tech")))),
  ], { name: "setup" });
}
