// Keeps the files of the site, so that the page works without a network. Where there is one, the network's files win.
const CACHE = "impossible-1";
const FILES = [
  "./", "app.js", "app_bg.wasm", "worker.js", "worker_bg.wasm", "style.css",
  ...["teacher", "critic", "student"].flatMap((model) =>
    ["config.json", "golden.json", "tokenizer.json", "model.safetensors"].map((file) => `tiny/${model}/${file}`)),
  "tiny/student/impossible.json",
];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== self.location.origin) return;
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
