// A token that somebody gave us, in a variable or in a file: it is looked at, renewed where that is possible, never
// revoked, and another in its file takes its place without a failed request.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { FakeClock } from "../gen/fake-clock.ts";
import { sessionScene } from "./session-scene.ts";
import { plain, Requests, vaultOn } from "./vault-fixture.ts";

const server = testEnv().stack.vault;
const scene = await sessionScene(server);
const { admin, place } = scene;
const { mount } = place;
const look = scene.look.bind(scene);
const token = { method: "token", namespace: "" } as const;
const directory = await mkdtemp(join(tmpdir(), "token-"));

afterAll(async () => {
  await admin.close();
  await rm(directory, { recursive: true });
});

describe("token", () => {
  const given = (value: string) => ({ VAULT_TOKEN: value });

  test("missing is said in the contract's words", async () => {
    const { vault } = vaultOn(server, { env: given("") });
    await expect(vault.access(token).observe(place)).rejects.toMatchObject({
      code: "VaultLoginFailed",
      message: "VAULT_TOKEN environment variable not found",
    });
    await vault.close();
  });

  test("unknown to Vault is a failed login, and never shown", async () => {
    const { vault, logs } = vaultOn(server, { env: given("canary-token") });
    await expect(vault.access(token).observe(place)).rejects.toMatchObject({
      code: "VaultLoginFailed",
      message: expect.stringContaining("VAULT_TOKEN"),
    });
    expect(logs.count("canary")).toBe(0);
    await vault.close();
  });

  test("of root neither expires nor is renewed nor revoked", async () => {
    const clock = new FakeClock();
    const { vault } = vaultOn(server, { clock });
    expect(await look(vault.access(token))).toBe("absent");
    expect(clock.timers).toBe(0);
    await vault.close();
    expect((await admin.ask("GET", "auth/token/lookup-self")).status).toBe(200);
  });

  test("that is periodic is renewed, and outlives us", async () => {
    const value = await admin.token({ [`${mount}/*`]: ["read"] }, { period: "60s" });
    const clock = new FakeClock();
    const metrics = new Requests();
    const { vault } = vaultOn(server, { env: given(value), clock, metrics });
    expect(await look(vault.access(token))).toBe("absent");
    await clock.advance(clock.nextTimerMs ?? 0);
    await eventually(() => expect([metrics.posts, clock.timers]).toEqual([1, 1]));
    await vault.close();
    expect((await admin.ask("POST", "auth/token/lookup", { token: value })).status).toBe(200);
  });

  test("that may not look itself up is used all the same, and its refusals are refusals", async () => {
    const value = await admin.token({ [`${mount}/data/*`]: ["read"] }, { no_default_policy: true });
    const { vault } = vaultOn(server, { env: given(value) });
    const access = vault.access(token);
    expect(await look(access)).toBe("absent");
    await expect(access.write(place, plain({ a: "1" }), 0)).rejects.toMatchObject({ code: "VaultPermissionDenied" });
    await vault.close();
  });

  test("revoked while in use is a failed login", async () => {
    const value = await admin.token({ [`${mount}/*`]: ["read"] });
    const { vault } = vaultOn(server, { env: given(value) });
    expect(await look(vault.access(token))).toBe("absent");
    await admin.send("POST", "auth/token/revoke", { token: value });
    expect(await look(vault.access(token))).toBe("VaultLoginFailed");
    await vault.close();
  });

  test("expired by its own clock is looked at again", async () => {
    const value = await admin.token({ [`${mount}/*`]: ["read"] }, { type: "batch", ttl: "60s" });
    const clock = new FakeClock();
    const metrics = new Requests();
    const { vault } = vaultOn(server, { env: given(value), clock, metrics });
    expect(await look(vault.access(token))).toBe("absent");
    await clock.advance(61_000);
    metrics.list.length = 0;
    expect(await look(vault.access(token))).toBe("absent");
    expect(metrics.list).toEqual(["GET 200", "GET 404"]);
    await vault.close();
  });

  test("with a use limit is said to be unsuitable, and no use is spent on renewals", async () => {
    const value = await admin.token({ [`${mount}/*`]: ["read"] }, { num_uses: 3 });
    const clock = new FakeClock();
    const { vault, logs } = vaultOn(server, { env: given(value), clock });
    expect(await look(vault.access(token))).toBe("absent");
    expect(logs.count("good for few requests only")).toBe(1);
    expect(clock.timers).toBe(0);
    expect(await look(vault.access(token))).toBe("absent");
    expect(await look(vault.access(token))).toBe("VaultLoginFailed");
    await vault.close();
  });
});

describe("token in a file", () => {
  /** A product that reads its token from a file. */
  async function fromFile(name: string, value: string) {
    const file = join(directory, name);
    await writeFile(file, `${value}\n`);
    const clock = new FakeClock();
    const metrics = new Requests();
    const made = vaultOn(server, { env: { VAULT_TOKEN_FILE: file }, clock, metrics });
    return { ...made, file, clock, metrics, access: made.vault.access(token) };
  }

  test("another in the file takes its place within a minute, without a failed request, and the old is left alone", async () => {
    const [first, second] = await Promise.all([
      admin.token({ [`${mount}/*`]: ["read"] }),
      admin.token({ [`${mount}/*`]: ["read"] }),
    ]);
    const { vault, logs, file, clock, metrics, access } = await fromFile("rotated", first);
    expect(await look(access)).toBe("absent");
    await writeFile(file, `${second}\n`);
    await clock.advance(60_000);
    expect(await look(access)).toBe("absent");
    expect(logs.count("logged in")).toBe(2);
    await admin.send("POST", "auth/token/revoke", { token: first });
    expect(await look(access)).toBe("absent");
    expect(metrics.list.filter((request) => !/^GET (200|404)$/.test(request))).toEqual([]);
    await vault.close();
    expect((await admin.ask("POST", "auth/token/lookup", { token: second })).status).toBe(200);
  });

  test("is read at once when Vault does not know the old one any more", async () => {
    const [first, second] = await Promise.all([
      admin.token({ [`${mount}/*`]: ["read"] }),
      admin.token({ [`${mount}/*`]: ["read"] }),
    ]);
    const { vault, file, access } = await fromFile("revoked", first);
    expect(await look(access)).toBe("absent");
    await writeFile(file, second);
    await admin.send("POST", "auth/token/revoke", { token: first });
    expect(await look(access)).toBe("absent");
    await vault.close();
  });

  test("a wrong one, an empty one or none takes nothing from a token that works, and is said", async () => {
    const { vault, logs, file, clock, access } = await fromFile(
      "wrong",
      await admin.token({ [`${mount}/*`]: ["read"] }),
    );
    expect(await look(access)).toBe("absent");
    await writeFile(file, "canary-wrong");
    for (let minute = 0; minute < 5; minute += 1) {
      await clock.advance(60_000);
      expect(await look(access)).toBe("absent");
    }
    expect(logs.count("login failed")).toBeGreaterThan(0);
    await writeFile(file, "");
    await clock.advance(60_000);
    expect(await look(access)).toBe("absent");
    await rm(file);
    await clock.advance(60_000);
    expect(await look(access)).toBe("absent");
    expect(logs.count("canary")).toBe(0);
    await vault.close();
  });

  test("that is not there is a failed login that names the variable and not the file", async () => {
    const { vault } = vaultOn(server, { env: { VAULT_TOKEN_FILE: join(directory, "canary") } });
    const { code, message } = await scene.failure(vault.access(token));
    expect([code, message]).toEqual(["VaultLoginFailed", "cannot read the file that VAULT_TOKEN_FILE names (ENOENT)"]);
    await vault.close();
  });
});
