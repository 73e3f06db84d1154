// Entries of people: numbered, kept on the tablet until the gateway has them on its disk, and sent until it says so.

import { gatewayTime, now, post, state } from "./gateway.js";

const MOST = 20;
const FIRST_MS = 10000;
const LOAD = Math.random().toString(36).slice(2); // this load of the page, whose monotonic clock is known

let db = null;
let memory = null; // numbers of entries that the browser could not keep: they live as long as the page
let waiting = [];
let troubles = []; // what the gateway refused, or another tablet answered first
let sending = false;
let again = 0;
let tries = 0;
let refusals = 0;
let slept = 0;
const windows = "BroadcastChannel" in self ? new BroadcastChannel("nhip-andon") : null; // other windows of this tablet
const listeners = new Set();

export function onEntries(listener) { listeners.add(listener); }
function tell() { for (const listener of listeners) listener(); }

document.addEventListener("visibilitychange", () => { if (document.hidden) slept = performance.now(); });

function ask(request) {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

export async function openEntries() {
  try {
    const request = indexedDB.open("nhip-andon", 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("entries", { keyPath: "no" });
      request.result.createObjectStore("troubles", { keyPath: "id" });
      request.result.createObjectStore("meta");
    };
    db = await ask(request);
    db.onversionchange = () => db.close();
    if (navigator.storage && navigator.storage.persist) navigator.storage.persist().catch(() => {});
    await read();
  } catch (error) {
    db = null;
  }
  tell();
}

async function read() {
  const rows = await ask(db.transaction("entries").objectStore("entries").getAll());
  troubles = await ask(db.transaction("troubles").objectStore("troubles").getAll());
  waiting = [...rows, ...waiting.filter((row) => row.memory)];
}

// Another window of this tablet entered something, or sent it.
if (windows) windows.onmessage = () => { if (db) read().then(tell).then(sendWaiting).catch(() => {}); };
function tellWindows() { if (windows) windows.postMessage(""); }

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => (byte % 36).toString(36)).join("");
}

// The number is drawn in the transaction that keeps the entry: two windows of one tablet never draw the same.
async function keep(entry) {
  const made = { load: LOAD, perf: performance.now(), wall: Date.now(), gateway: gatewayTime() };
  try {
    if (db) return await keepOnDisk(entry, made);
  } catch (error) { /* full, or closed by the browser */ }
  if (!memory) memory = { tablet: randomId(), next: 1 };
  const row = { memory: true, no: memory.next, id: `${memory.tablet}-${memory.next}`, entry, made };
  memory.next += 1;
  return row;
}

async function keepOnDisk(entry, made) {
  const transaction = db.transaction(["meta", "entries"], "readwrite", { durability: "strict" });
  const meta = transaction.objectStore("meta");
  const done = new Promise((ok, failed) => {
    transaction.oncomplete = ok;
    transaction.onerror = transaction.onabort = () => failed(transaction.error);
  });
  const tablet = (await ask(meta.get("tablet"))) || randomId();
  const no = (await ask(meta.get("next"))) || 1;
  const row = { no, id: `${tablet}-${no}`, entry, made };
  meta.put(tablet, "tablet");
  meta.put(no + 1, "next");
  transaction.objectStore("entries").put(row);
  await done;
  return row;
}

// How long ago an entry was made: by the monotonic clock, which nobody can set. After a reload, or where the tablet may
// have slept, by gateway time; only where that was not known then, by differences of the tablet's wall clock.
function ago(made) {
  const [steady, at] = [performance.now() - made.perf, gatewayTime()];
  if (made.load === LOAD && slept <= made.perf) return steady;
  const other = Math.max(0, made.gateway && at ? at - made.gateway : Date.now() - made.wall);
  return made.load === LOAD ? Math.max(steady, other) : other;
}

export function waitingEntries() { return waiting.map(({ id, entry }) => ({ id, ...entry })); }
export function onlyInMemory() { return waiting.some((row) => row.memory); }
export function troubled() { return troubles; }

export async function enter(entry) {
  const row = await keep(entry);
  if (!waiting.some((item) => item.id === row.id)) waiting.push(row);
  tell();
  tellWindows();
  sendWaiting();
  return row.id;
}

async function drop(row, trouble) {
  waiting = waiting.filter((item) => item.id !== row.id);
  if (trouble) troubles = [...troubles.filter((item) => item.id !== row.id), trouble];
  if (!db) return;
  const transaction = db.transaction(["entries", "troubles"], "readwrite");
  if (!row.memory) transaction.objectStore("entries").delete(row.no);
  if (trouble) transaction.objectStore("troubles").put(trouble);
  transaction.oncomplete = tellWindows;
}

export function dismiss(id) {
  troubles = troubles.filter((item) => item.id !== id);
  if (db) {
    const transaction = db.transaction("troubles", "readwrite");
    transaction.objectStore("troubles").delete(id);
    transaction.oncomplete = tellWindows;
  }
  tell();
}

export function sendWaiting() {
  if (sending || !waiting.length || state.locked) return;
  if (!state.hello && performance.now() < FIRST_MS) return; // gateway time tells how old they are
  sending = true;
  clearTimeout(again);
  send().catch(() => false).then((went) => {
    sending = false;
    tries = went ? 0 : tries + 1;
    if (waiting.length) again = setTimeout(sendWaiting, went ? 50 : Math.min(1500 * 1.6 ** tries, 15000));
    tell();
  });
}

// What an entry is about comes before it.
function inOrder() {
  const ids = new Set(waiting.map((row) => row.id));
  const follows = ({ entry }) => [entry.entry, entry.call, entry.saw].some((id) => ids.has(id));
  const first = waiting.filter((row) => !follows(row));
  return [first.length ? first : waiting, first.length ? waiting.filter(follows) : []];
}

async function send() {
  const [first, rest] = inOrder();
  // an entry at which the gateway fails must not hold up the others: after some refusals they go one by one
  const batch = refusals > 2 ? [first[refusals % first.length]] : [...first, ...rest].slice(0, MOST);
  const answer = await post("/entries", { entries: batch.map(wire) });
  if (!answer.ok) {
    refusals += [401, 503].includes(answer.status) ? 0 : 1;
    return false;
  }
  refusals = 0;
  const replies = new Map((await answer.json()).entries.map((reply) => [reply.id, reply]));
  let went = false;
  for (const row of batch) {
    const reply = replies.get(row.id);
    if (!reply || reply.state === "later") continue;
    went = true;
    const trouble = reply.state === "saved" ? null : { id: row.id, entry: row.entry, at: now(), ...reply };
    await drop(row, trouble);
  }
  return went;
}

function wire({ id, entry, made }) {
  return { ...entry, id, ago_ms: Math.round(ago(made)) };
}

// Also when the gateway does not push: a tablet in a drawer comes back.
setInterval(sendWaiting, 5000);
addEventListener("online", sendWaiting);
