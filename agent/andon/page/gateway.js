// The connection to the gateway: its events, its time, and whether it is there.

import { sendWaiting } from "./entries.js";

const SILENT_MS = 25000;
const KEEP_EVERY_MS = 10000;
const KEPT = "nhip.machines";

export const state = {
  machines: {}, // by id: what `machine` and `live` said last
  hello: null,
  connected: false,
  lostAt: null, // gateway time of the last sign of life, while there is none
  locked: false, // the gateway asks for a PIN
};

const listeners = new Set();
let source = null;
let shown = "";
let offset = null; // gateway time minus performance.now()
let heard = 0;
let keeping = 0;

export function onChange(listener) { listeners.add(listener); }

function changed(what, id) {
  for (const listener of listeners) listener(what, id);
}

// Gateway time [ms]. The tablet's own clock is used only until the gateway has been heard once.
export function now() {
  return offset === null ? Date.now() : performance.now() + offset;
}

// The same, null where it is not known.
export function gatewayTime() {
  return offset !== null && state.hello && state.hello.trusted ? now() : null;
}

export function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) || "{}");
    Object.assign(state.machines, kept.machines || {});
    state.lostAt = kept.at || null;
  } catch (error) { /* nothing kept */ }
}

function keep() {
  if (!keeping) keeping = setTimeout(keepNow, performance.now() < KEEP_EVERY_MS ? 500 : KEEP_EVERY_MS);
}

function keepNow() {
  if (!keeping) return;
  clearTimeout(keeping);
  keeping = 0;
  try {
    localStorage.setItem(KEPT, JSON.stringify({ at: now(), machines: state.machines }));
  } catch (error) { /* full or forbidden: then a reload without the gateway shows nothing */ }
}

export function connect(machines) {
  const wanted = `/events?m=${machines.map(encodeURIComponent).join(",")}`;
  if (source && shown === wanted && source.readyState !== EventSource.CLOSED) return;
  if (source) source.close();
  shown = wanted;
  source = new EventSource(wanted);
  source.addEventListener("hello", (event) => {
    state.hello = JSON.parse(event.data);
    offset = state.hello.now_ms - performance.now();
    alive();
    changed("hello");
    sendWaiting();
  });
  for (const part of ["live", "machine"]) {
    source.addEventListener(part, (event) => {
      const { id, ...content } = JSON.parse(event.data);
      state.machines[id] = { ...state.machines[id], [part]: content };
      alive();
      keep();
      changed(part, id);
    });
  }
  source.addEventListener("error", lost);
}

function alive() {
  heard = performance.now();
  if (!state.connected || state.locked) {
    state.connected = true;
    state.locked = false;
    state.lostAt = null;
    changed("connection");
  }
}

function lost() {
  if (state.connected || state.lostAt === null) {
    state.connected = false;
    state.lostAt = state.lostAt || now();
    changed("connection");
  }
  if (source && source.readyState === EventSource.CLOSED) setTimeout(look, 3000);
}

// Why the stream ended: the gateway may ask for a PIN.
async function look() {
  try {
    const answer = await fetch("/site.json", { cache: "no-store" });
    if (answer.status === 401) lock();
    else again();
  } catch (error) {
    again();
  }
}

export function lock() {
  state.locked = true;
  changed("locked");
}

function again() {
  if (source && source.readyState === EventSource.CLOSED) {
    const wanted = shown;
    source = null;
    shown = "";
    connect(wanted.slice("/events?m=".length).split(",").filter(Boolean).map(decodeURIComponent));
  }
}

// A dead Wi-Fi ends no connection by itself.
setInterval(() => {
  if (!source || state.locked) return;
  if (state.connected && performance.now() - heard > SILENT_MS) {
    lost();
    source.close();
    again();
  } else if (!state.connected && source.readyState === EventSource.CLOSED) {
    again();
  }
}, 5000);

addEventListener("pagehide", keepNow);
addEventListener("online", () => again());
addEventListener("offline", () => { if (source) lost(); });

export async function post(path, content) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-nhip-andon": "1" },
    body: JSON.stringify(content),
  });
  if (answer.status === 401) lock();
  return answer;
}
