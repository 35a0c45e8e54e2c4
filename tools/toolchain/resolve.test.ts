import { join } from "node:path";
import { expect, test } from "vitest";
import { platform } from "./cache.ts";
import { type Part, parts } from "./parts.ts";
import { find, type Surroundings } from "./resolve.ts";

const etcd = parts.etcd;
const cached = (directory: string) =>
  join("/cache", "kms-vault-operator", "toolchain", `${directory}-${platform()}`, "etcd");

/** A machine with these executables; each prints its version. */
function machine(programs: Record<string, string>, env: NodeJS.ProcessEnv = {}): Surroundings {
  return {
    env: { XDG_CACHE_HOME: "/cache", ...env },
    isExecutable: (file) => Object.hasOwn(programs, file),
    versionOutput: (file) => Promise.resolve(programs[file]),
  };
}

const everywhere = {
  "/explicit/etcd": "etcd Version: 3.6.14",
  "/assets/etcd": "etcd Version: 3.6.14",
  "/bin/etcd": "etcd Version: 3.6.14",
  [cached("etcd-3.6.14")]: "etcd Version: 3.6.14",
};

test("places are looked at in order: variable, envtest's directory, PATH, cache", async () => {
  const env = { TEST_ASSET_ETCD: "/explicit/etcd", KUBEBUILDER_ASSETS: "/assets", PATH: "/nothing:/bin" };
  const order: unknown[] = [];
  for (const leftOut of ["", "TEST_ASSET_ETCD", "KUBEBUILDER_ASSETS", "PATH"] as const) {
    if (leftOut !== "") delete (env as NodeJS.ProcessEnv)[leftOut];
    order.push((await find(etcd, machine(everywhere, env))).found);
  }
  expect(order).toEqual([
    { path: "/explicit/etcd", from: "TEST_ASSET_ETCD" },
    { path: "/assets/etcd", from: "KUBEBUILDER_ASSETS" },
    { path: "/bin/etcd", from: "PATH" },
    { path: cached("etcd-3.6.14"), from: "cache" },
  ]);
  expect(await find(etcd, machine({}))).toEqual({ notes: [] });
});

test("the release download and the build share the cache", async () => {
  const { found } = await find(etcd, machine({ [cached("envtest-1.36.2")]: "" }));
  expect(found?.path).toBe(cached("envtest-1.36.2"));
});

test("a program on PATH whose version does not fit is passed over, with a line that says so", async () => {
  const programs = { "/old/etcd": "etcd Version: 3.4.30", "/odd/etcd": "hello", "/new/etcd": "etcd Version: 3.5.0" };
  const { found, notes } = await find(etcd, machine(programs, { PATH: "/old:/odd:/new" }));
  expect(found).toEqual({ path: "/new/etcd", from: "PATH" });
  expect(notes).toEqual([
    "etcd: /old/etcd (PATH) is 3.4.30, 3.5.0 or newer is needed; not used",
    "etcd: /odd/etcd (PATH) tells no version, 3.5.0 or newer is needed; not used",
  ]);
});

test("an explicit path is trusted for its version, but it must be a program", async () => {
  const env = { TEST_ASSET_ETCD: "/old/etcd" };
  expect((await find(etcd, machine({ "/old/etcd": "etcd Version: 3.4.30" }, env))).found?.path).toBe("/old/etcd");
  await expect(find(etcd, machine({}, env))).rejects.toThrow("TEST_ASSET_ETCD names /old/etcd, which is no program");
});

test("a program that cannot tell its version is never taken from PATH", async () => {
  const moto: Part = parts.moto_server;
  expect(await find(moto, machine({ "/bin/moto_server": "5.2.1" }, { PATH: "/bin" }))).toEqual({ notes: [] });
});

test("KUBEBUILDER_ASSETS says nothing about OpenBao", async () => {
  const env = { KUBEBUILDER_ASSETS: "/assets" };
  expect(await find(parts.bao, machine({ "/assets/bao": "OpenBao v2.7.2" }, env))).toEqual({ notes: [] });
});
