// node run.mjs FOLDER: serves FOLDER (index.html and what wasm-bindgen wrote), opens it in headless Chromium and runs the
// golden check on the CPU device and on WebGPU (SwiftShader where there is no GPU).
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";

const folder = process.argv[2];
const types = { ".html": "text/html", ".js": "text/javascript", ".wasm": "application/wasm" };
const server = createServer(async (request, response) => {
  const name = request.url === "/" ? "/index.html" : request.url;
  try {
    if (name.includes("..")) throw new Error("outside");
    const bytes = await readFile(join(folder, name));
    response.writeHead(200, { "content-type": types[name.slice(name.lastIndexOf("."))] ?? "text/plain" });
    response.end(bytes);
  } catch {
    response.writeHead(404);
    response.end();
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-vulkan=swiftshader",
    "--use-webgpu-adapter=swiftshader", "--ignore-gpu-blocklist",
  ],
});
let failed = false;
try {
  for (const device of ["flex", "webgpu"]) {
    const page = await browser.newPage();
    page.on("console", (line) => console.log(`[${device}] ${line.text()}`));
    page.on("pageerror", (error) => console.log(`[${device}] ${error}`));
    await page.goto(`http://127.0.0.1:${server.address().port}/`);
    await page.waitForFunction(() => window.golden, null, { timeout: 60_000 });
    const start = Date.now();
    const { report, rows } = await page.evaluate(
      async (name) => ({ report: JSON.parse(await window.golden.check(name)), rows: window.golden.rows }),
      device,
    );
    const same = JSON.stringify(report.rows) === JSON.stringify(rows);
    const ok = same && report.worst_logit < 1e-4;
    failed ||= !ok;
    console.log(
      `${ok ? "ok" : "FAILED"} ${device} in Chromium: ${report.rows.length} siblings, worst logit off by ` +
        `${report.worst_logit.toExponential(1)}, ${((Date.now() - start) / 1000).toFixed(1)} s`,
    );
    if (!same) console.log(`expected ${JSON.stringify(rows)}\nfound    ${JSON.stringify(report.rows)}`);
    await page.close();
  }
} finally {
  await browser.close();
  server.close();
}
process.exitCode = failed ? 1 : 0;
