// Entries of people: numbered, kept on the tablet until the gateway has them on its disk, and sent until it says so.

import { now, post, state } from "./gateway.js";

const MOST = 20;
const LOAD = Math.random().toString(36).slice(2); // this load of the page, whose monotonic clock is known

let db = null;
let memory = null; // where the browser keeps nothing: entries live as long as the page
let waiting = [];
let troubles = []; // what the gateway refused, or another tablet answered first
let sending = false;
let again = 0;
let tries = 0;
let slept = 0;
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
    if (navigator.storage && navigator.storage.persist) navigator.storage.persist().catch(() => {});
    waiting = await ask(db.transaction("entries").objectStore("entries").getAll());
    troubles = await ask(db.transaction("troubles").objectStore("troubles").getAll());
  } catch (error) {
    db = null;
    memory = { tablet: randomId(), next: 1 };
  }
  tell();
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return [...bytes].map((byte) => (byte % 36).toString(36)).join("");
}

// The number is drawn in the transaction that keeps the entry: two windows of one tablet never draw the same.
async function keep(entry) {
  const made = { load: LOAD, perf: performance.now(), wall: Date.now() };
  if (!db) {
    const row = { no: memory.next, id: `${memory.tablet}-${memory.next}`, entry, made };
    memory.next += 1;
    return row;
  }
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
// have slept, only differences of its wall clock are left.
function ago(made) {
  const wall = Math.max(0, Date.now() - made.wall);
  if (made.load !== LOAD) return wall;
  const steady = performance.now() - made.perf;
  return slept > made.perf ? Math.max(steady, wall) : steady;
}

export function waitingEntries() { return waiting.map(({ id, entry }) => ({ id, ...entry })); }
export function troubled() { return troubles; }

export async function enter(entry) {
  const row = await keep(entry);
  waiting.push(row);
  tell();
  sendWaiting();
  return row.id;
}

async function drop(row, trouble) {
  waiting = waiting.filter((item) => item.no !== row.no);
  if (trouble) troubles = [...troubles.filter((item) => item.id !== row.id), trouble];
  if (!db) return;
  const transaction = db.transaction(["entries", "troubles"], "readwrite");
  transaction.objectStore("entries").delete(row.no);
  if (trouble) transaction.objectStore("troubles").put(trouble);
}

export function dismiss(id) {
  troubles = troubles.filter((item) => item.id !== id);
  if (db) db.transaction("troubles", "readwrite").objectStore("troubles").delete(id);
  tell();
}

export function sendWaiting() {
  if (sending || !waiting.length || state.locked) return;
  sending = true;
  clearTimeout(again);
  send().catch(() => false).then((went) => {
    sending = false;
    tries = went ? 0 : tries + 1;
    if (waiting.length) again = setTimeout(sendWaiting, went ? 50 : Math.min(1500 * 1.6 ** tries, 15000));
    tell();
  });
}

async function send() {
  // an entry at which the gateway fails must not hold up the others: after some tries they go one by one
  const batch = tries > 2 ? [waiting[tries % waiting.length]] : waiting.slice(0, MOST);
  const answer = await post("/entries", { entries: batch.map(wire) });
  if (!answer.ok) return false;
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
