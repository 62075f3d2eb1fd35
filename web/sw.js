// Keeps the files of the site, so that the page works without a network. Where there is one, the network's files win.
const CACHE = "impossible-2";
const FILES = [
  "./", "app.js", "app_bg.wasm", "worker.js", "worker_bg.wasm", "style.css",
  ...["teacher", "critic", "student"].flatMap((model) =>
    ["config.json", "golden.json", "tokenizer.json", "model.safetensors"].map((file) => `tiny/${model}/${file}`)),
  "tiny/student/impossible.json",
];
// Nothing else of this host: models that are brought here are kept elsewhere.
const OWN = new Set([...FILES, "index.html"].map((file) => new URL(file, self.location).pathname));

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => {
  const old = async () => (await caches.keys()).filter((name) => name.startsWith("impossible-") && name !== CACHE);
  event.waitUntil(old().then((names) => Promise.all(names.map((name) => caches.delete(name)))).then(() => self.clients.claim()));
});
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin || !OWN.has(pathname)) return;
  event.respondWith(
    (async () => {
      const cache = await caches.open(CACHE);
      try {
        const response = await fetch(request);
        // A full disk must not keep the page from its file.
        if (response.ok) cache.put(request, response.clone()).catch(() => {});
        return response;
      } catch (error) {
        const kept = await cache.match(request, { ignoreSearch: true });
        if (kept) return kept;
        throw error;
      }
    })(),
  );
});
