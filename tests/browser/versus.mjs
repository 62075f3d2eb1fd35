// node versus.mjs A B [ROUNDS]: two builds of the web app in one headless Chromium, in turns, on the CPU device: tokens a second
// with twelve versions of a sentence and with one, distillations and trainings a second, each with the ratio of B to A.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [a, b, rounds] = process.argv.slice(2);
const ROUNDS = Number(rounds ?? 5);
const TEXT =
  "The company said it raised its quarterly dividend to 20 cts a share from 18 cts. Japan will ask the United States to drop its tariffs on electronic goods when officials meet in Washington next week.";
const types = { html: "text/html", js: "text/javascript", wasm: "application/wasm", css: "text/css", json: "application/json" };
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const servers = [];
async function open(dist) {
  const server = createServer(async (request, response) => {
    const asked = decodeURIComponent(new URL(request.url, "http://host").pathname);
    const path = asked === "/" ? "/index.html" : asked;
    try {
      if (path.includes("..")) throw new Error("outside");
      const body = await readFile(join(dist, path));
      response.writeHead(200, { "content-type": types[path.split(".").pop()] ?? "application/octet-stream" });
      response.end(body);
    } catch {
      response.writeHead(404);
      response.end();
    }
  });
  servers.push(server);
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const page = await (await browser.newContext()).newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/?device=cpu`);
  await page.waitForSelector('.badge[data-state="ready"]', { state: "attached", timeout: 60_000 });
  await page.fill("#text", TEXT);
  await page.locator("summary", { hasText: "Settings" }).click();
  return page;
}
const pages = [await open(a), await open(b)];
const measured = {};
// What `run` answers for each page in turn, after `warm` rounds that do not count.
async function measure(name, times, warm, run) {
  measured[name] = [[], []];
  for (let round = 0; round < warm + times; round += 1) {
    for (const [i, page] of pages.entries()) {
      await page.bringToFront();
      const value = await run(page);
      if (round >= warm) measured[name][i].push(value);
    }
  }
}
const slide = (page, name, value) => page.getByRole("slider", { name }).fill(String(value));
const click = (page, name) => page.getByRole("button", { name, exact: true }).click();
const done = (page) =>
  page.waitForFunction(() => document.querySelector('[data-test="told"]').textContent.includes("Done"), null, { timeout: 240_000 });
const perSecond = async (body) => {
  const start = performance.now();
  await body();
  return 1000 / (performance.now() - start);
};

for (const [versions, times] of [[12, ROUNDS], [1, 2 * ROUNDS]]) {
  for (const page of pages) await slide(page, "Versions of each sentence", versions);
  await measure(`${versions} versions`, times, 1, async (page) => {
    await click(page, "Paraphrase");
    await done(page);
    return Number((await page.locator('[data-test="speed"]').textContent()).match(/(\d+) tokens/)[1]);
  });
}
for (const page of pages) {
  await page.evaluate(() => { location.hash = "distil"; });
  await slide(page, "Contexts", 3);
  await slide(page, "Siblings of each", 96);
}
const trainings = [[], []];
await measure("distillation", 3, 0, async (page) => {
  const rate = await perSecond(async () => {
    await click(page, "Distil");
    await done(page);
  });
  // More pairs to learn from, while they are there.
  await slide(page, "Least entailment", 0.2);
  await page.waitForTimeout(1500);
  await slide(page, "Epochs", 2);
  trainings[pages.indexOf(page)].push(await perSecond(async () => {
    await click(page, "Train the student");
    await page.locator('[data-test="learning"]', { hasText: "is trained" }).waitFor({ timeout: 240_000 });
  }));
  return rate;
});
measured.training = trainings;

const median = (list) => [...list].sort((x, y) => x - y)[list.length >> 1];
for (const [name, [before, after]] of Object.entries(measured)) {
  const ratios = after.map((x, i) => x / before[i]);
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  console.log(`${name}: A ${median(before).toFixed(3)}, B ${median(after).toFixed(3)} a second; B to A ${median(ratios).toFixed(2)} (${range}, ${ratios.length} pairs)`);
}
await browser.close();
servers.forEach((server) => server.close());
