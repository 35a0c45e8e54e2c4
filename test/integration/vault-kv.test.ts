// The KV engines at the real server: what is found, written and removed, and what restricted policies make of it.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PlainValue } from "../../src/base/plaintext.ts";
import { OperatorError } from "../../src/base/errors.ts";
import type { Destination } from "../../src/vault/kv/engine.ts";
import type { VaultAccess } from "../../src/vault/vault.ts";
import { testEnv } from "../env/context.ts";
import { uniqueName } from "../env/unique.ts";
import { Admin, opened, plain, vaultOn } from "./vault-fixture.ts";

const server = testEnv().stack.vault;
const root = { method: "token", namespace: "" } as const;
const admin = new Admin(server);
const { vault, logs } = vaultOn(server);
const access = vault.access(root);
let v1 = "";
let v2 = "";

beforeAll(async () => {
  [v1, v2] = await Promise.all([admin.mount("v1"), admin.mount("v2")]);
});

afterAll(async () => {
  await vault.close();
  await admin.close();
});

describe("KV v2", () => {
  test("absent, written, read, written again, removed", async () => {
    const destination = await access.resolve(`${v2}/data/team/app`);
    expect(await access.observe(destination)).toMatchObject({ state: "absent" });
    expect(await access.read(destination)).toMatchObject({ state: "absent" });

    const first = await access.write(destination, plain({ user: "canary-one", empty: "" }), 0);
    expect(first?.version).toBe(1);
    expect(await access.observe(destination)).toMatchObject({ state: "present", revision: first });
    expect(opened(await access.read(destination))).toMatchObject({
      state: "present",
      revision: first,
      data: { user: "canary-one", empty: "" },
    });

    const second = await access.write(destination, plain({ user: "canary-two" }), 1);
    expect(second?.version).toBe(2);
    expect(await access.observe(destination)).toMatchObject({ state: "present", revision: second });

    await access.remove(destination);
    expect((await admin.ask("GET", `${v2}/metadata/team/app`)).status).toBe(404);
    expect(await access.observe(destination)).toMatchObject({ state: "absent" });
    await access.remove(destination);
  });

  test("the time in a write's answer is the one that the metadata shows, also after a wipe", async () => {
    const destination = await access.resolve(`${v2}/times`);
    for (let round = 0; round < 5; round += 1) {
      const revision = await access.write(destination, plain({ a: String(round) }), 0);
      const { data } = await admin.send("GET", `${v2}/metadata/times`);
      expect(revision).toEqual({ version: 1, createdTime: data.versions[1].created_time });
      await access.remove(destination);
    }
  });

  test("deleted, undeleted, destroyed", async () => {
    const destination = await access.resolve(`${v2}/gone`);
    const revision = await access.write(destination, plain({ a: "1" }), 0);
    await admin.send("DELETE", `${v2}/data/gone`);
    expect(await access.observe(destination)).toMatchObject({ state: "deleted", revision });
    expect(await access.read(destination)).toMatchObject({ state: "deleted", revision });
    await admin.send("PUT", `${v2}/undelete/gone`, { versions: [1] });
    expect(await access.observe(destination)).toMatchObject({ state: "present", revision });
    await admin.send("PUT", `${v2}/destroy/gone`, { versions: [1] });
    expect(await access.observe(destination)).toMatchObject({ state: "deleted", revision });
    expect(await access.read(destination)).toMatchObject({ state: "deleted", revision });
    expect((await access.write(destination, plain({ a: "2" }), 1))?.version).toBe(2);
  });

  test("a version whose deletion lies ahead is alive", async () => {
    const destination = await access.resolve(`${v2}/later`);
    await admin.send("POST", `${v2}/metadata/later`, { delete_version_after: "1h" });
    expect(await access.observe(destination)).toMatchObject({ state: "absent" });
    const revision = await access.write(destination, plain({ a: "1" }), 0);
    expect(await access.observe(destination)).toMatchObject({ state: "present", revision });
    expect((await access.read(destination)).state).toBe("present");
  });

  test("of two writers on one version, one wins", async () => {
    const destination = await access.resolve(`${v2}/race`);
    await access.write(destination, plain({ a: "0" }), 0);
    const writes = await Promise.allSettled(
      ["one", "two", "three", "four"].map((value) => access.write(destination, plain({ a: value }), 1)),
    );
    const lost = writes.filter((write) => write.status === "rejected");
    expect(lost).toHaveLength(3);
    for (const { reason } of lost) expect(reason).toMatchObject({ code: "CASConflict" });
    expect((await admin.send("GET", `${v2}/metadata/race`)).data.current_version).toBe(2);
  });

  test("never written without check-and-set", async () => {
    const destination = await access.resolve(`${v2}/blind`);
    await expect(access.write(destination, plain({ a: "1" }))).rejects.toMatchObject({ code: "InternalError" });
    expect((await admin.ask("GET", `${v2}/metadata/blind`)).status).toBe(404);
  });
});

describe("KV v1", () => {
  test("absent, written, read, removed", async () => {
    const destination = await access.resolve(`${v1}/data/app`);
    expect(destination).toEqual({ namespace: "", mount: v1, engineVersion: "v1", path: "data/app" });
    expect(await access.observe(destination)).toMatchObject({ state: "absent" });
    expect(await access.write(destination, plain({ a: "canary-one" }))).toBeUndefined();
    expect(opened(await access.observe(destination))).toEqual({ state: "present", data: { a: "canary-one" } });
    expect((await admin.send("GET", `${v1}/data/app`)).data).toEqual({ a: "canary-one" });
    await access.remove(destination);
    expect((await admin.ask("GET", `${v1}/data/app`)).status).toBe(404);
    await access.remove(destination);
  });

  test("foreign values are written back as they came, to the digit", async () => {
    const destination = await access.resolve(`${v1}/foreign`);
    const foreign = '{"big":12345678901234567890,"list":[1.50,true,null],"own":{"b":1,"a":2},"rawJSON":"x"}';
    await admin.ask("PUT", `${v1}/foreign`, foreign);
    const observed = await access.read(destination);
    if (observed.state !== "present" || observed.data === undefined) throw new Error(observed.state);
    expect(observed.data.get("big")?.openJson()).toBe("12345678901234567890");
    await access.write(destination, new Map([...observed.data, ["mine", new PlainValue("m")]]));
    const again = await access.read(destination);
    if (again.state !== "present" || again.data === undefined) throw new Error(again.state);
    for (const [key, value] of observed.data) expect(again.data.get(key)?.openJson()).toBe(value.openJson());
    expect(again.data.size).toBe(observed.data.size + 1);
  });
});

describe("paths", () => {
  test("slashes, data/ or not, and mounts of any depth", async () => {
    const deep = await admin.mount("v2", `${uniqueName("team")}/inner/`);
    const expected = { namespace: "", mount: deep, engineVersion: "v2", path: "a/b" };
    for (const path of [`${deep}/data/a/b`, `/${deep}//a/b/`, `${deep}/a/b`]) {
      expect(await access.resolve(path)).toEqual(expected);
      expect(await access.resolve(path, "v2")).toEqual(expected);
    }
    await access.write(await access.resolve(`${deep}/data/data/x`), plain({ a: "1" }), 0);
    expect((await admin.send("GET", `${deep}/metadata/data?list=true`)).data.keys).toEqual(["x"]);
  });

  test.each(["a b", "a%2Fb", "100%", "a?b#c", "é€😀", "a+b&c=d", "a;b'c(d)*!", "a\\b", "..a", "trailing "])(
    "%j is the very name of the secret",
    async (name) => {
      for (const mount of [v1, v2]) {
        const destination = await access.resolve(`${mount}/odd/${name}`);
        await access.write(destination, plain({ a: name }), 0);
        const list = mount === v1 ? `${v1}/odd?list=true` : `${v2}/metadata/odd?list=true`;
        expect((await admin.send("GET", list)).data.keys).toEqual([name]);
        expect(opened(await access.read(destination))).toMatchObject({ data: { a: name } });
        await access.remove(destination);
        expect((await admin.ask("GET", list)).status).toBe(404);
      }
    },
  );

  test.each([
    ["a path that is no path", "a/../b", undefined, "InvalidPath"],
    ["the system's own", "sys/mounts", undefined, "NotKV"],
    ["an auth method, whatever the object says", "auth/token/create", "v1", "NotKV"],
    ["identity", "identity/x", undefined, "NotKV"],
    ["cubbyhole", "cubbyhole/x", "v1", "NotKV"],
    ["a mount that is not there", "nowhere/data/x", undefined, "EngineUnknown"],
  ] as const)("%s: %s is refused", async (_what, path, engineVersion, code) => {
    await expect(access.resolve(path, engineVersion)).rejects.toMatchObject({ code });
  });

  test("another engine, another version, only the mount", async () => {
    const transit = uniqueName("transit");
    await admin.send("POST", `sys/mounts/${transit}`, { type: "transit" });
    await expect(access.resolve(`${transit}/keys/x`)).rejects.toMatchObject({ code: "NotKV" });
    await expect(access.resolve(`${v2}/data/x`, "v1")).rejects.toMatchObject({ code: "EngineMismatch" });
    await expect(access.resolve(`${v1}/x`, "v2")).rejects.toMatchObject({ code: "EngineMismatch" });
    await expect(access.resolve(v1)).rejects.toMatchObject({ code: "InvalidPath" });
    await expect(access.resolve(`${v2}/data`)).rejects.toMatchObject({ code: "InvalidPath" });
  });

  test("what Vault itself refuses to print is a clear refusal", async () => {
    const destination = await access.resolve(`${v2}/data/a\u200bb`);
    await expect(access.write(destination, plain({ a: "1" }), 0)).rejects.toMatchObject({ code: "InvalidSpec" });
  });
});

describe("a mount that is not what it was", () => {
  test("gone: nothing is there, removing is done, writing says why not", async () => {
    const mount = await admin.mount("v2");
    const destination = await access.resolve(`${mount}/x`);
    await access.write(destination, plain({ a: "1" }), 0);
    await admin.send("DELETE", `sys/mounts/${mount}`);
    expect(await access.observe(destination)).toMatchObject({ state: "absent" });
    await access.remove(destination);
    await expect(access.write(destination, plain({ a: "1" }), 0)).rejects.toMatchObject({ code: "NotKV" });
    await expect(access.resolve(`${mount}/x`)).rejects.toMatchObject({ code: "EngineUnknown" });
  });

  test("KV v1 that became KV v2 is never read as empty, and found out", async () => {
    const mount = await admin.mount("v1");
    const destination = await access.resolve(`${mount}/x`);
    await admin.send("POST", `sys/mounts/${mount}/tune`, { options: { version: "2" } });
    const calls: ((at: Destination) => Promise<unknown>)[] = [
      (at) => access.observe(at),
      (at) => access.write(at, plain({ a: "1" })),
      (at) => access.remove(at),
    ];
    for (const call of calls) {
      const error = await call(destination).catch((thrown: unknown) => thrown);
      // While Vault upgrades the mount it says so.
      expect(error).toBeInstanceOf(OperatorError);
      expect(["EngineMismatch", "VaultUnavailable"]).toContain((error as OperatorError).code);
    }
    await expect
      .poll(() => access.observe(destination).catch((error: OperatorError) => error.code))
      .toBe("EngineMismatch");
    expect((await access.resolve(`${mount}/x`)).engineVersion).toBe("v2");
  });

  test("KV v1 addressed as KV v2 does not crash", async () => {
    const destination = { namespace: "", mount: v1, engineVersion: "v2", path: "x" } as const;
    expect(await access.observe(destination)).toMatchObject({ state: "absent" });
    await expect(access.write(destination, plain({ a: "1" }), 0)).rejects.toMatchObject({ code: "EngineMismatch" });
  });

  test("a namespace that is not there is no empty place", async () => {
    const destination = { namespace: uniqueName("none"), mount: v2, engineVersion: "v2", path: "x" } as const;
    await expect(access.observe(destination)).rejects.toMatchObject({ code: "EngineUnknown" });
    await expect(access.remove(destination)).rejects.toMatchObject({ code: "EngineUnknown" });
  });
});

test("a namespace of its own", async () => {
  const namespace = uniqueName("ns");
  await admin.send("POST", `sys/namespaces/${namespace}`);
  await admin.send("POST", `${namespace}/sys/mounts/kv`, { type: "kv", options: { version: "1" } });
  const inside = vault.access({ method: "token", namespace });
  const destination = await inside.resolve("kv/x");
  expect(destination).toEqual({ namespace, mount: "kv", engineVersion: "v1", path: "x" });
  await inside.write(destination, plain({ a: "1" }));
  expect((await admin.send("GET", `${namespace}/kv/x`)).data).toEqual({ a: "1" });
});

describe("policies", () => {
  /** The product's Vault with a token that may do just this. */
  async function limited(rules: Readonly<Record<string, readonly string[]>>): Promise<{
    readonly limitedAccess: VaultAccess;
    readonly requests: string[];
    readonly close: () => Promise<void>;
  }> {
    const token = await admin.token(rules);
    const requests: string[] = [];
    const metrics = {
      requestDone: (method: string, status: string) => requests.push(`${method} ${status}`),
      loginDone() {},
    };
    const made = vaultOn(server, { auth: { token: { token: new PlainValue(token) } }, metrics });
    return { limitedAccess: made.vault.access(root), requests, close: () => made.vault.close() };
  }

  test("KV v2 as the original's policies: no metadata to read", async () => {
    const { limitedAccess, requests, close } = await limited({
      [`${v2}/data/*`]: ["create", "read", "update"],
      [`${v2}/metadata/*`]: ["delete"],
    });
    const destination = await limitedAccess.resolve(`${v2}/data/original`, "v2");
    expect(await limitedAccess.observe(destination)).toMatchObject({ state: "absent" });
    const revision = await limitedAccess.write(destination, plain({ a: "1" }), 0);
    requests.length = 0;
    const observed = await limitedAccess.observe(destination);
    expect(opened(observed)).toMatchObject({ state: "present", revision, data: { a: "1" } });
    expect(requests).toEqual(["GET 200"]);
    await admin.send("DELETE", `${v2}/data/original`);
    expect(await limitedAccess.observe(destination)).toMatchObject({ state: "deleted", revision });
    await limitedAccess.remove(destination);
    expect((await admin.ask("GET", `${v2}/metadata/original`)).status).toBe(404);
    await close();
  });

  test("KV v1 as the original's policies: nothing to read, and not asked again", async () => {
    const { limitedAccess, requests, close } = await limited({ [`${v1}/*`]: ["create", "update"] });
    const destination = await limitedAccess.resolve(`${v1}/original`);
    const unreadable = { state: "unreadable", missingCapability: "read" };
    expect(await limitedAccess.observe(destination)).toEqual(unreadable);
    await limitedAccess.write(destination, plain({ a: "1" }));
    requests.length = 0;
    expect(await limitedAccess.observe(destination)).toEqual(unreadable);
    expect(requests).toEqual([]);
    await expect(limitedAccess.remove(destination)).rejects.toMatchObject({
      code: "VaultPermissionDenied",
      message: expect.stringContaining(`grant delete`),
    });
    await close();
  });

  test("KV v2 that may not be read at all is asked for both each time", async () => {
    const { limitedAccess, requests, close } = await limited({ [`${v2}/data/*`]: ["create", "update"] });
    const destination = await limitedAccess.resolve(`${v2}/data/blind`);
    for (let round = 0; round < 2; round += 1) {
      requests.length = 0;
      expect(await limitedAccess.observe(destination)).toEqual({ state: "unreadable", missingCapability: "read" });
      expect(requests.filter((request) => request === "GET 403")).toHaveLength(2);
    }
    await close();
  });

  test("a denied write names the path and the capability, and writes nothing", async () => {
    const { limitedAccess, close } = await limited({ [`${v2}/data/*`]: ["read"] });
    const destination = await limitedAccess.resolve(`${v2}/data/denied`);
    await expect(limitedAccess.write(destination, plain({ a: "canary-denied" }), 0)).rejects.toMatchObject({
      code: "VaultPermissionDenied",
      retry: "backoff",
      message: expect.stringMatching(new RegExp(`${v2}/data/denied.*create and update`)),
    });
    expect((await admin.ask("GET", `${v2}/metadata/denied`)).status).toBe(404);
    await close();
  });

  test("where Vault does not tell the engine, the object is believed, and asked once", async () => {
    const { limitedAccess, requests, close } = await limited({ "elsewhere/*": ["read"] });
    await expect(limitedAccess.resolve(`${v2}/data/x`)).rejects.toMatchObject({ code: "EngineUnknown" });
    expect(await limitedAccess.resolve("team/kv/data/x/data/y", "v2")).toMatchObject({
      mount: "team/kv",
      path: "x/data/y",
    });
    expect(await limitedAccess.resolve("team/kv/x", "v2")).toMatchObject({ mount: "team", path: "kv/x" });
    expect(await limitedAccess.resolve("team/data/x", "v1")).toMatchObject({ mount: "team", path: "data/x" });
    requests.length = 0;
    await limitedAccess.resolve("team/kv/x", "v2");
    expect(requests).toEqual([]);
    await close();
  });
});

test("of many objects below a new mount, one asks which engine it is", async () => {
  const mount = await admin.mount("v2");
  const requests: string[] = [];
  const fresh = vaultOn(server, { metrics: { requestDone: (method) => requests.push(method), loginDone() {} } });
  const freshAccess = fresh.vault.access(root);
  await Promise.all(Array.from({ length: 50 }, (_, index) => freshAccess.resolve(`${mount}/data/${index}`)));
  // One look-up of the given token, one question about the mount.
  expect(requests).toEqual(["GET", "GET"]);
  await fresh.vault.close();
});

test("a process that may not write (any more) sends no write and no removal", async () => {
  const guarded = vaultOn(server, {
    beforeMutation() {
      throw new OperatorError("InternalError", "not leading");
    },
  });
  const guardedAccess = guarded.vault.access(root);
  const destination = await guardedAccess.resolve(`${v2}/data/guarded`);
  await expect(guardedAccess.write(destination, plain({ a: "1" }), 0)).rejects.toThrow("not leading");
  await access.write(destination, plain({ a: "1" }), 0);
  await expect(guardedAccess.remove(destination)).rejects.toThrow("not leading");
  expect((await guardedAccess.observe(destination)).state).toBe("present");
  await guarded.vault.close();
});

test("nothing that was written was logged", () => {
  expect(logs.lines.length).toBeGreaterThan(0);
  expect(logs.count("canary")).toBe(0);
  expect(logs.count(server.rootToken)).toBe(0);
});
