import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import type { LogFields } from "../base/log.ts";
import { Credentials, inClusterConnection } from "./connection.ts";

describe("in a cluster", () => {
  test("host, port and the service account's files", () => {
    expect(inClusterConnection("10.0.0.1", "443", "/sa")).toEqual({
      server: "https://10.0.0.1:443",
      caFile: "/sa/ca.crt",
      tokenFile: "/sa/token",
    });
  });

  test("an IPv6 host", () => {
    expect(inClusterConnection("fd00::1", "443").server).toBe("https://[fd00::1]:443");
  });
});

describe("files", () => {
  let path: string;
  let clock: FakeClock;
  let warnings: LogFields[];
  let credentials: Credentials;

  beforeEach(async () => {
    const directory = await mkdtemp(join(tmpdir(), "runtime-"));
    onTestFinished(() => rm(directory, { recursive: true, force: true }));
    path = join(directory, "file");
    clock = new FakeClock();
    warnings = [];
    const warn = (fields: LogFields) => void warnings.push(fields);
    const logger = { debug() {}, info() {}, warn, error() {} };
    credentials = new Credentials({ server: "https://x", tokenFile: path, caFile: path }, { clock, logger });
  });

  test("are read again after five seconds, or when told so", async () => {
    await writeFile(path, "one\n");
    expect(await credentials.token()).toBe("one");
    await writeFile(path, "two\n");
    expect(await credentials.token()).toBe("one");
    await clock.advance(5_000);
    expect(await credentials.token()).toBe("two");
    expect(await credentials.tls()).toEqual({ ca: "two\n" });
    await writeFile(path, "three\n");
    credentials.invalidate();
    expect(await credentials.token()).toBe("three");
  });

  test.each([
    ["is gone", () => rm(path)],
    ["is empty", () => writeFile(path, "\n")],
  ])("that %s leaves the last credentials in force, with a warning", async (_, spoil) => {
    await writeFile(path, "one\n");
    await credentials.token();
    await spoil();
    await clock.advance(5_000);
    expect(await credentials.token()).toBe("one");
    expect(warnings).toMatchObject([{ path }]);
    await writeFile(path, "two\n");
    await clock.advance(5_000);
    expect(await credentials.token()).toBe("two");
  });

  test("that was never readable is an error with its path", async () => {
    await expect(credentials.token()).rejects.toThrow(path);
  });
});
