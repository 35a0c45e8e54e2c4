// What only a process can show: how `run` ends. The API server is a port of loopback at which nothing listens: being
// down never ends the operator, so it is a signal, or an address that is taken, that does.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const program = join(import.meta.dirname, "../../src/cli/main.ts");
let directory = "";
let children: ChildProcess[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "cli-"));
});

afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
  rmSync(directory, { recursive: true, force: true });
});

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
}

/** A port at which nothing listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts `run` with an API server that is down. */
async function start(...flags: string[]) {
  const kubeconfig = join(directory, "kubeconfig");
  const cluster = { name: "c", cluster: { server: `http://127.0.0.1:${await freePort()}` } };
  const contexts = [{ name: "c", context: { cluster: "c", user: "" } }];
  writeFileSync(kubeconfig, JSON.stringify({ "current-context": "c", clusters: [cluster], users: [], contexts }));
  const child = spawn(process.execPath, [program, "run", "--kubeconfig", kubeconfig, ...flags], {
    env: { HOME: directory },
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.push(child);
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString();
  });
  const ended = new Promise<number | string | null>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal));
  });
  const seen = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = () => {
        if (log.includes(text)) resolve();
      };
      look();
      child.stderr.on("data", look);
      child.once("close", () => reject(new Error(`it ended without "${text}": ${log}`)));
    });
  return { child, seen, ended, log: () => log };
}

test("SIGTERM stops it with exit code 0, with the API server down", async () => {
  const { child, seen, ended, log } = await start("--metrics-addr=127.0.0.1:0", "--log-format=json", "no-flag", "-x");
  await seen("trying again");
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
  const lines = log()
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  expect(lines).toContainEqual(expect.objectContaining({ level: "info", signal: "SIGTERM" }));
  expect(lines).toContainEqual(expect.objectContaining({ level: "warn", ignored: ["no-flag", "-x"] }));
});

test("an address that is taken is one clear line and exit code 1", async () => {
  const taken = createServer();
  const port = await listen(taken);
  const { seen, ended, log } = await start(`--metrics-addr=127.0.0.1:${port}`, "--log-format=json");
  await seen("the operator cannot run");
  expect(await ended).toBe(1);
  expect(log()).toContain(`cannot listen on 127.0.0.1:${port} for metrics and probes (EADDRINUSE)`);
  taken.close();
});
