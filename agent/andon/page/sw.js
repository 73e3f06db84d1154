// Keeps the page itself on the tablet, so that it opens without the gateway. Numbers and entries never pass here.
const CACHE = "nhip-andon-{version}";
const SHELL = ["/", "/app.js", "/app.css", "/dom.js", "/entries.js", "/gateway.js", "/icons.js", "/machine.js", "/setup.js",
  "/sheets.js", "/tech.js", "/upkeep.js", "/wall.js", "/words.js", "/icon.svg", "/icon-192.png", "/manifest.webmanifest"];
const FRESH = ["/site.json", "/words.json"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => Promise.all([cache.addAll(SHELL), ...FRESH.map((path) => keepNow(cache, path))]))
    .then(() => self.skipWaiting()));
});

// The page that brought this worker had read them before it was there. With a PIN they come later.
async function keepNow(cache, path) {
  try {
    const answer = await fetch(path);
    if (answer.ok) await cache.put(path, answer);
  } catch (error) { /* the next time */ }
}

self.addEventListener("activate", (event) => {
  event.waitUntil(caches.keys()
    .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
    .then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const path = new URL(event.request.url).pathname;
  if (event.request.method !== "GET") return;
  if (SHELL.includes(path)) {
    event.respondWith(caches.match(path).then((found) => found || fetch(event.request)));
  } else if (FRESH.includes(path) || path.startsWith("/photo/")) {
    event.respondWith(freshOrKept(event.request));
  }
});

async function freshOrKept(request) {
  const cache = await caches.open(CACHE);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(request, answer.clone());
    return answer;
  } catch (error) {
    const kept = await cache.match(request);
    if (kept) return kept;
    throw error;
  }
}
