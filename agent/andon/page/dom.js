// Elements without a framework: texts go in as text, never as markup.

export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "vars") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function svg(viewBox, className, ...paths) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  element.setAttribute("viewBox", viewBox);
  element.setAttribute("class", className);
  element.setAttribute("aria-hidden", "true");
  for (const [tag, attributes] of paths) {
    const part = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) part.setAttribute(name, value);
    element.append(part);
  }
  return element;
}

// A part of the page is replaced only when it changed, and never under a finger: a tap would be lost.
let pressed = false;
const waiting = new Map();
addEventListener("pointerdown", () => { pressed = true; }, true);
for (const name of ["pointerup", "pointercancel"]) {
  addEventListener(name, () => setTimeout(release, 60), true);
}

function release() {
  pressed = false;
  for (const [place, node] of waiting) put(place, node);
  waiting.clear();
}

export function fill(place, node) {
  if (!place) return;
  if (pressed) waiting.set(place, node);
  else put(place, node);
}

function put(place, node) {
  const next = node ? [node] : [];
  const same = place.childNodes.length === next.length && next.every((item, i) => item.isEqualNode(place.childNodes[i]));
  if (same) return;
  const focused = place.contains(document.activeElement) && document.activeElement.dataset.act
    ? { act: document.activeElement.dataset.act, with: document.activeElement.dataset.with } : null;
  const scrolled = [...place.querySelectorAll("[data-scroll]")].map((item) => [item.dataset.scroll, item.scrollLeft]);
  place.replaceChildren(...next);
  for (const [name, left] of scrolled) {
    const again = place.querySelector(`[data-scroll="${name}"]`);
    if (again) again.scrollLeft = left;
  }
  if (focused) {
    const again = [...place.querySelectorAll("[data-act]")]
      .find((item) => item.dataset.act === focused.act && item.dataset.with === focused.with);
    if (again) again.focus({ preventScroll: true });
  }
}

export function text(element, words) {
  if (element && element.textContent !== words) element.textContent = words;
}

// A second tap at the same place, which gloves make, is none, except at buttons that are meant to be tapped often.
const AGAIN_MS = 350;
const AGAIN_PX = 40;
const OFTEN = ["add", "key", "pin-key", "split-move"];
let last = { at: -AGAIN_MS, x: 0, y: 0 };

function isSecond(event) {
  const { at, x, y } = last;
  last = { at: event.timeStamp, x: event.clientX, y: event.clientY };
  return event.detail > 0 && event.timeStamp - at < AGAIN_MS && Math.hypot(event.clientX - x, event.clientY - y) < AGAIN_PX;
}

// What a tap does stands at the element as data-act, with data-with as its argument.
const acts = {};

export function on(handlers) {
  Object.assign(acts, handlers);
}

addEventListener("click", (event) => {
  const again = isSecond(event);
  if (event.target === sheet && !again) closeSheet(); // beside its content
  const element = event.target.closest("[data-act]");
  if (!element || element.disabled || (sheet && sheet.classList.contains("busy"))) return;
  if (again && !OFTEN.includes(element.dataset.act)) return;
  const act = acts[element.dataset.act];
  if (act) act(element.dataset.with || "", element, event);
});

export function button(act, label, { arg, icon, className = "", ...more } = {}) {
  return h("button", { type: "button", class: `button ${className}`, "data-act": act, "data-with": arg, ...more },
    icon, typeof label === "string" ? h("span", { class: "label" }, label) : label);
}

// One sheet at a time, over the page. Esc, a tap outside and the browser's way back close it.
let sheet = null;
let leaving = 0; // steps back in the browser's history that are under way

addEventListener("popstate", () => {
  if (leaving) leaving -= 1;
  else if (sheet) shut();
  if (sheet && !(history.state && history.state.sheet)) history.pushState({ sheet: true }, "");
});

export function openSheet(title, content, { wide = false, name = "" } = {}) {
  shut();
  const opened = h("dialog", { class: wide ? "sheet wide" : "sheet", "data-name": name, "aria-label": title },
    h("header", null, h("h2", null, title), h("button", { type: "button", class: "round", "data-act": "close", "aria-label": "×" }, "×")),
    h("div", { class: "sheet-body" }, content));
  opened.addEventListener("close", () => { if (opened === sheet) closeSheet(); });
  document.body.append(opened);
  opened.showModal();
  sheet = opened;
  if (!leaving && !(history.state && history.state.sheet)) history.pushState({ sheet: true }, "");
}

function shut() {
  const closing = sheet;
  sheet = null;
  if (closing && closing.open) closing.close();
  if (closing) closing.remove();
}

export function closeSheet() {
  if (!sheet) return;
  shut();
  if (history.state && history.state.sheet) {
    leaving += 1;
    history.back();
  }
}

// What was tapped is being kept: nothing more may be tapped on this sheet. What closes it then, and no other.
export function holdSheet() {
  const held = sheet;
  if (held) held.classList.add("busy");
  return () => { if (held && held === sheet) closeSheet(); };
}

export function sheetName() {
  return sheet && sheet.open ? sheet.dataset.name : "";
}

on({ close: closeSheet });

// A word at the bottom that goes by itself, with at most one thing to do.
let toastTimer = 0;

export function toast(message, action, kind = "") {
  let box = document.getElementById("toast");
  if (!box) {
    box = h("div", { id: "toast", role: "status", "aria-live": "polite" });
    document.body.append(box);
  }
  // over a modal sheet only what is in the sheet is seen
  (sheet && sheet.open ? sheet : document.body).append(box);
  box.className = `shown ${kind}`;
  box.replaceChildren(h("span", null, message), action || "");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { box.className = ""; }, kind === "bad" ? 12000 : 7000);
}
