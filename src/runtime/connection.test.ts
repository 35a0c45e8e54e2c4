import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createAuthority } from "../../test/env/certificates.ts";
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

  test("of a client certificate take effect as a pair, never by halves", async () => {
    const authority = await createAuthority("test");
    const [old, next] = await Promise.all([authority.client("old", "group"), authority.client("next", "group")]);
    const files = { clientCertFile: path, clientKeyFile: `${path}.key` };
    const warn = (fields: LogFields) => void warnings.push(fields);
    const logger = { debug() {}, info() {}, warn, error() {} };
    const own = new Credentials({ server: "https://x", ...files }, { clock, logger });
    await Promise.all([writeFile(path, old.certPem), writeFile(`${path}.key`, old.keyPem)]);
    const before = await own.tls();
    expect(before).toEqual({ cert: old.certPem, key: old.keyPem });
    await writeFile(path, next.certPem);
    for (let look = 0; look < 2; look += 1) {
      await clock.advance(5_000);
      expect(await own.tls()).toBe(before);
    }
    expect(warnings).toHaveLength(1);
    expect(inspect(warnings, { depth: 9 })).not.toContain("PRIVATE KEY");
    await writeFile(`${path}.key`, next.keyPem);
    await clock.advance(5_000);
    expect(await own.tls()).toEqual({ cert: next.certPem, key: next.keyPem });
  });

  test("that was never readable is an error with its path", async () => {
    await expect(credentials.token()).rejects.toThrow(path);
  });
});
