// node beside.mjs DIST MODULES ONNX [VERSIONS]: tokens a second of the web app and of transformers.js, the same student and sentences in
// the same headless Chromium, in turns, on the CPU and without threads. MODULES is a node_modules folder with
// @huggingface/transformers (`npm install --ignore-scripts`), ONNX what onnx.py made of assets/tiny/student.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [dist, modules, onnx, rows] = process.argv.slice(2);
const ROUNDS = 7;
const ROWS = Number(rows ?? 12);
const SENTENCES = [
  "The company said it raised its quarterly dividend to 20 cts a share from 18 cts.",
  "Japan will ask the United States to drop its tariffs on electronic goods when officials meet in Washington next week.",
];
const theirs = `<!doctype html><script type="module">
  import { pipeline, env } from "/transformers/transformers.js";
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true });
  env.localModelPath = "/models/";
  env.backends.onnx.wasm.wasmPaths = "/ort/";
  env.backends.onnx.wasm.numThreads = 1;
  const write = await pipeline("text2text-generation", "student", { dtype: "fp32", device: "wasm" });
  window.run = async () => {
    let tokens = 0, ms = 0;
    for (const sentence of ${JSON.stringify(SENTENCES)}) {
      const inputs = write.tokenizer(Array(${ROWS}).fill("paraphrase: " + sentence), { padding: true });
      const start = performance.now();
      const rows = await write.model.generate({ ...inputs, do_sample: true, temperature: 0.7, top_k: 0, no_repeat_ngram_size: 3, max_new_tokens: 60 });
      ms += performance.now() - start;
      const end = rows.tolist().map((row) => row.slice(1).map(Number));
      for (const row of end) tokens += row.includes(1) ? row.indexOf(1) + 1 : row.length;
    }
    return { tokens, ms };
  };
  window.loaded = true;
</script>`;
const types = { html: "text/html", js: "text/javascript", mjs: "text/javascript", wasm: "application/wasm", css: "text/css", json: "application/json" };
const folders = [
  ["/transformers/", join(modules, "@huggingface/transformers/dist")],
  ["/ort/", join(modules, "onnxruntime-web/dist")],
  ["/models/student/", onnx],
  ["/", dist],
];
const server = createServer(async (request, response) => {
  const path = decodeURIComponent(new URL(request.url, "http://host").pathname);
  try {
    if (path.includes("..")) throw new Error("outside");
    const [start, folder] = folders.find(([start]) => path.startsWith(start));
    const body = path === "/theirs.html" ? theirs : await readFile(join(folder, path === "/" ? "index.html" : path.slice(start.length)));
    response.writeHead(200, { "content-type": types[path === "/" ? "html" : path.split(".").pop()] ?? "application/octet-stream" });
    response.end(body);
  } catch {
    response.writeHead(404);
    response.end();
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const site = `http://127.0.0.1:${server.address().port}`;
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const [a, b] = [await browser.newPage(), await browser.newPage()];
for (const page of [a, b]) page.on("pageerror", (error) => console.log(`error: ${error}`));
await b.goto(`${site}/theirs.html`);
await b.waitForFunction(() => window.loaded, null, { timeout: 60_000 });
await a.goto(`${site}/?device=cpu`);
await a.fill("#text", SENTENCES.join(" "));
await a.waitForSelector('.badge[data-state="ready"]', { state: "attached", timeout: 60_000 });
await a.locator("summary", { hasText: "Settings" }).click();
await a.getByRole("slider", { name: "Versions of each sentence" }).fill(String(ROWS));
const ours = async () => {
  await a.getByRole("button", { name: "Paraphrase", exact: true }).click();
  await a.waitForFunction(() => document.querySelector('[data-test="told"]').textContent.includes("Done"), null, { timeout: 60_000 });
  return Number((await a.locator('[data-test="speed"]').textContent()).match(/^(\d+) tokens/)[1]);
};
const rates = { ours: [], theirs: [], tokens: [] };
for (let round = 0; round <= ROUNDS; round += 1) {
  await b.bringToFront();
  const { tokens, ms } = await b.evaluate(() => window.run());
  await a.bringToFront();
  const rate = await ours();
  if (round === 0) continue; // both warm up
  rates.ours.push(rate);
  rates.theirs.push((1000 * tokens) / ms);
  rates.tokens.push(tokens);
}
const median = (list) => [...list].sort((x, y) => x - y)[list.length >> 1];
const ratios = rates.ours.map((x, i) => x / rates.theirs[i]);
console.log(`${await browser.version()}, ${ROWS} versions of ${SENTENCES.length} sentences, ${ROUNDS} rounds after one to warm up`);
console.log(`web app: median ${median(rates.ours).toFixed(0)} tokens/s`);
console.log(`transformers.js: median ${median(rates.theirs).toFixed(0)} tokens/s (${median(rates.tokens)} tokens a round)`);
console.log(`ratio: median ${median(ratios).toFixed(2)}, from ${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`);
await browser.close();
server.close();
