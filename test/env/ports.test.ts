import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePorts } from "./ports.ts";

test("no connection can take them before the server listens: they are not the kernel's to give", async () => {
  // Elsewhere than on Linux: the range that IANA names.
  const range = await readFile("/proc/sys/net/ipv4/ip_local_port_range", "utf8").catch(() => "49152 65535");
  const first = Number(range.trim().split(/\s+/)[0]);
  const ports = await freePorts(50);
  expect(new Set(ports)).toHaveProperty("size", 50);
  expect(Math.max(...ports)).toBeLessThan(first);
});

test("a server can listen at each", async () => {
  const servers = (await freePorts(20)).map((port) => createServer().listen(port, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  await Promise.all(servers.map((server) => once(server.close(), "close")));
});
