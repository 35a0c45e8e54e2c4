// Vault sealed or down, at the start and in the middle: the operator lives on, each object says so, nothing is lost, and
// when Vault is back everything heals by itself, deletions too.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../env/eventually.ts";
import type { Vault } from "../env/openbao.ts";
import { type Private, privateVault } from "../env/private.ts";
import { openScene, type Scene } from "./scene.ts";

let vault: Private<Vault>;
let scene: Scene;

beforeAll(async () => {
  vault = await privateVault({ persistent: true });
  scene = await openScene({ vault: vault.info });
});

afterAll(async () => {
  await scene[Symbol.asyncDispose]();
  await vault[Symbol.asyncDispose]();
});

interface Outage {
  readonly what: string;
  readonly reason: string;
  /** In the condition and the event. */
  readonly message: RegExp;
  readonly begin: () => Promise<void>;
  readonly end: () => Promise<void>;
}

const outages: readonly Outage[] = [
  {
    what: "sealed",
    reason: "VaultSealed",
    message: /^Vault at https:\/\/127\.0\.0\.1:\d+ is sealed: unseal it$/,
    begin: () => vault.seal(),
    end: () => vault.unseal(),
  },
  {
    what: "down",
    reason: "VaultUnavailable",
    message: /^cannot reach Vault at https:\/\/127\.0\.0\.1:\d+ \(ECONNREFUSED\): check that it is up, that VAULT_ADDR/,
    begin: () => vault.stop(),
    async end() {
      await vault.start();
      await vault.unseal();
    },
  },
];

const finalizers = ["delete.k8s.patoarvizu.dev"];

describe.each(outages)("Vault is $what", ({ what, reason, message, begin, end }) => {
  const v1 = `${what}-v1`;
  const v2 = `${what}-v2`;

  afterEach(() => scene.expectUnharmed());
  afterAll(() => scene.operator.stop());

  async function expectTold(name: string): Promise<void> {
    expect((await scene.untilReady(name, reason)).message).toMatch(message);
    await scene.untilTold(name, { reason, message: expect.stringMatching(message) });
    const reconciling = (await scene.status(name)).conditions?.find(({ type }) => type === "Reconciling");
    expect(reconciling).toMatchObject({ status: "True", reason });
  }

  test("at the start", async () => {
    const secrets = [await scene.entry("a", "old"), await scene.entry("b", "old")];
    await scene.create(v1, { path: `${scene.v1}/${what}`, secrets });
    await scene.create(v2, { path: `${scene.v2}/${what}`, secrets }, { finalizers });
    await begin();
    await scene.start();
    for (const name of [v1, v2]) await expectTold(name);
    expect((await scene.status(v1)).created).toBe(false);
    await end();
    for (const name of [v1, v2]) await scene.untilReady(name, "Synced");
    expect(await scene.atV1(what)).toEqual({ a: "old", b: "old" });
    expect(await scene.atV2(what)).toEqual({ a: "old", b: "old" });
  });

  test("in the middle", async () => {
    const leaving = `${what}-leaving`;
    const gone = `${what}-gone`;
    const idle = `${what}-idle`;
    await scene.create(
      leaving,
      { path: `${scene.v1}/${leaving}`, secrets: [await scene.entry("a", "1")] },
      { finalizers },
    );
    await scene.create(gone, { path: `${scene.v1}/${gone}`, secrets: [await scene.entry("a", "1")] });
    await scene.create(idle, { path: `${scene.v2}/${idle}`, secrets: [await scene.entry("a", "1")] });
    for (const name of [leaving, gone, idle]) await scene.untilReady(name, "Synced");
    const before = await scene.status(idle);

    await begin();
    for (const name of [v1, v2]) {
      await scene.edit(name, { secrets: [await scene.entry("a", "new")] });
      await expectTold(name);
      expect(await scene.status(name)).toMatchObject({ created: true, keys: { synced: 2 } });
    }
    await scene.delete(leaving);
    await eventually(async () => {
      expect((await scene.status(leaving)).conditions).toContainEqual(
        expect.objectContaining({ type: "DeletionBlocked", status: "True", reason }),
      );
    });
    await scene.request(idle);
    await expectTold(idle);
    // Nothing in Vault hangs on this one.
    await scene.delete(gone);
    await scene.untilGone(gone);

    await end();
    for (const name of [v1, v2]) await scene.untilReady(name, "Synced");
    await scene.untilGone(leaving);
    expect(await scene.atV1(what)).toEqual({ a: "new" });
    expect(await scene.atV2(what)).toEqual({ a: "new" });
    expect(await scene.versionOf(what)).toBe(2);
    expect(await scene.atV1(leaving)).toBeUndefined();
    expect(await scene.atV1(gone)).toEqual({ a: "1" });
    // In sync again without a write.
    await scene.untilReady(idle, "Synced");
    expect(await scene.versionOf(idle)).toBe(1);
    const { lastSyncTime, record } = await scene.status(idle);
    expect({ lastSyncTime, record }).toEqual({ lastSyncTime: before.lastSyncTime, record: before.record });
    await scene.expectNeighbourGoesOn();
  });
});
