// KMS down, throttled or refusing: no key is lost in Vault, objects in sync notice nothing, what needs no KMS goes on,
// and everything heals by itself when KMS is back.
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";
import { auditCount, auditMark } from "../env/audit.ts";
import { always, eventually } from "../env/eventually.ts";
import type { Kms } from "../env/kms.ts";
import { type Private, privateKms } from "../env/private.ts";
import type { FaultSettings } from "../../src/kms/emulator/faults.ts";
import { openScene, type Scene } from "./scene.ts";

let kms: Private<Kms>;
let scene: Scene;

beforeAll(async () => {
  kms = await privateKms();
  scene = await openScene({ kms: kms.info });
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
  await kms[Symbol.asyncDispose]();
});

test("down at start: the operator comes up, says so on the objects, and writes when KMS is there", async () => {
  const secrets = [await scene.entry("a", "1"), { key: "e", emptySecret: true }];
  await scene.create("at-start", { path: `${scene.v1}/at-start`, secrets });
  await scene.create("no-kms", { path: `${scene.v2}/no-kms`, secrets: [{ key: "e", emptySecret: true }] });
  await kms.stop();
  await scene.start();
  const { message } = await scene.untilReady("at-start", "KMSUnavailable");
  expect(message).toMatch(
    /key a: KMSUnavailable: KMS.* cannot be reached .*ECONNREFUSED.*check network, region and endpoint/,
  );
  await scene.untilTold("at-start", { reason: "KMSUnavailable", message });
  expect(await scene.atV1("at-start")).toEqual({ e: "" });
  await scene.untilReady("no-kms", "Synced");
  await kms.start();
  await scene.untilReady("at-start", "Synced");
  expect(await scene.atV1("at-start")).toEqual({ a: "1", e: "" });
});

interface Trouble {
  readonly what: string;
  readonly reason: string;
  /** In the condition. */
  readonly message: RegExp;
  /** undefined: KMS is stopped. */
  readonly faults?: FaultSettings;
}

const troubles: readonly Trouble[] = [
  { what: "down", reason: "KMSUnavailable", message: /cannot be reached/ },
  {
    what: "failing",
    reason: "KMSUnavailable",
    message: /internal problem; it is tried again/,
    faults: { outage: "error" },
  },
  { what: "throttled", reason: "KMSThrottled", message: /raise the KMS request quota/, faults: { throttle: true } },
  { what: "refusing", reason: "KMSAccessDenied", message: /allow it on the key/, faults: { accessDenied: true } },
];

describe.each(troubles)("KMS is $what", ({ what, reason, message, faults }) => {
  test("Vault keeps every key; it heals by itself", async () => {
    const engines = [
      { object: `${what}-v1`, path: `${scene.v1}/${what}`, found: () => scene.atV1(what) },
      { object: `${what}-v2`, path: `${scene.v2}/${what}`, found: () => scene.atV2(what) },
    ];
    const before = [await scene.entry("a", "old"), await scene.entry("b", "old"), await scene.entry("c", "old")];
    const after = [await scene.entry("a", "new"), await scene.entry("b", "new"), { key: "d", emptySecret: true }];
    for (const { object, path } of engines) await scene.create(object, { path, secrets: before });
    await scene.create(`${what}-idle`, { path: `${scene.v2}/${what}-idle`, secrets: before });
    for (const object of [`${what}-v1`, `${what}-v2`, `${what}-idle`]) await scene.untilReady(object, "Synced");

    await (faults === undefined ? kms.stop() : scene.kms.faults(faults));
    for (const { object } of engines) await scene.edit(object, { secrets: after });
    for (const { object, found } of engines) {
      expect((await scene.untilReady(object, reason)).message).toMatch(message);
      expect(await found()).toEqual({ a: "old", b: "old", c: "old", d: "" });
      expect((await scene.status(object)).keys).toEqual({ synced: 1, failed: ["a", "b"] });
      await scene.untilTold(object, { reason });
    }
    await expectInSyncWithoutKms(`${what}-idle`);

    await (faults === undefined ? kms.start() : scene.kms.faults({}));
    for (const { object, found } of engines) {
      await scene.untilReady(object, "Synced");
      expect(await found()).toEqual({ a: "new", b: "new", d: "" });
    }
    await scene.expectNeighbourGoesOn();
  });
});

/** The operator looks at it, and has nothing to say. */
async function expectInSyncWithoutKms(object: string): Promise<void> {
  const { vault } = inject("stack");
  const since = await auditMark(vault);
  const before = await scene.status(object);
  await scene.request(object);
  await eventually(async () => {
    expect(await auditCount(vault, { path: `${scene.v2}/metadata/${object}`, since })).toBe(1);
  });
  // The outcome follows the one read within moments; what it must not be is anything new.
  await always(async () => expect(await scene.status(object)).toEqual(before), 100);
}

describe("one throttled call", () => {
  beforeEach(async () => {
    // So that one throttled call is one failed key.
    await scene.operator.stop();
    await scene.start({ env: { AWS_MAX_ATTEMPTS: "1" } });
  });

  test("its key keeps its value, none is removed, and the version written that way does not count as done", async () => {
    const values = (value: string) => Promise.all(["a", "b", "c"].map((key) => scene.entry(key, value)));
    await scene.create("one", { path: `${scene.v2}/one`, secrets: await values("old") });
    await scene.untilReady("one", "Synced");
    const secrets = await values("new");
    await scene.kms.faults({ throttle: true, times: 1 });
    await scene.edit("one", { secrets });
    await scene.untilReady("one", "Synced");
    const partly: Record<string, string> = (await scene.vault.read(`${scene.v2}/data/one?version=2`)).data;
    expect(Object.keys(partly)).toEqual(["a", "b", "c"]);
    expect(Object.values(partly).filter((value) => value === "old")).toHaveLength(1);
    expect(await scene.atV2("one")).toEqual({ a: "new", b: "new", c: "new" });
    expect(await scene.versionOf("one")).toBe(3);
    await scene.untilTold("one", { reason: "KMSThrottled" });
  });
});

test("the operator is unharmed", () => scene.expectUnharmed());
