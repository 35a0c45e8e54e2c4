import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { download } from "./download.ts";
import { Unavailable } from "./recipe.ts";

const content = Buffer.alloc(300_000, "release");
const sha512 = createHash("sha512").update(content).digest("hex");

let server: Server;
let base = "";
let directory = "";
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "download-test-"));
  server = createServer((request, response) => {
    if (request.url === "/missing") response.writeHead(404).end();
    else if (request.url === "/broken") {
      response.writeHead(200, { "content-length": content.length });
      response.write(content.subarray(0, 1000), () => response.destroy());
    } else response.end(content);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

test("the pinned file is kept", async () => {
  const file = join(directory, "good");
  await download(`${base}/file`, file, sha512);
  expect(readFileSync(file).equals(content)).toBe(true);
});

test("any other file is refused and removed", async () => {
  const file = join(directory, "bad");
  await expect(download(`${base}/file`, file, "0".repeat(128))).rejects.toThrow("is not the file that is pinned");
  expect(existsSync(file)).toBe(false);
});

test.each(["/missing", "/broken"])("%s is unavailable, so the next way is tried", async (path) => {
  await expect(download(`${base}${path}`, join(directory, "x"), sha512)).rejects.toBeInstanceOf(Unavailable);
});

test("so is a server that is not there", async () => {
  const gone = download("http://127.0.0.1:1/file", join(directory, "y"), sha512);
  await expect(gone).rejects.toThrow(Unavailable);
});
