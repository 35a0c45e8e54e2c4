// Token life at the real server: logins, renewals, expiry, revocation, wrong and missing credentials, and a Vault that
// is sealed or down. Where time must pass for the product alone, its clock is a fake one.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { freePort } from "../env/ports.ts";
import { privateVault } from "../env/private.ts";
import { uniqueName } from "../env/unique.ts";
import { FakeClock } from "../gen/fake-clock.ts";
import { sessionScene } from "./session-scene.ts";
import { plain, Requests, vaultOn } from "./vault-fixture.ts";

const { stack, kube } = testEnv();
const server = stack.vault;
const scene = await sessionScene(server);
const { admin, place } = scene;
const { mount } = place;
const look = scene.look.bind(scene);
const user = scene.user.bind(scene);
const accessorsOf = scene.accessorsOf.bind(scene);
const userpass = { method: "userpass", namespace: "" } as const;
const token = { method: "token", namespace: "" } as const;

afterAll(() => admin.close());

describe("userpass", () => {
  test("many objects at once are one login, and its token is revoked at the end", async () => {
    const env = await user();
    const metrics = new Requests();
    const { vault, logs } = vaultOn(server, { env, metrics });
    const states = await Promise.all(Array.from({ length: 50 }, () => look(vault.access(userpass))));
    expect(new Set(states)).toEqual(new Set(["absent"]));
    expect(metrics.posts).toBe(1);
    expect(metrics.logins).toEqual(["userpass ok"]);
    expect(await accessorsOf(env.VAULT_USERNAME)).toHaveLength(1);
    await vault.close();
    expect(await accessorsOf(env.VAULT_USERNAME)).toHaveLength(0);
    expect(logs.count("logged in")).toBe(1);
    expect(logs.count("canary")).toBe(0);
    expect(await look(vault.access(userpass))).toBe("VaultUnavailable");
  });

  test.each([
    ["VAULT_USERNAME", {}],
    ["VAULT_PASSWORD", { VAULT_USERNAME: "somebody" }],
  ])("%s missing is said in the contract's words", async (variable, env) => {
    const { vault } = vaultOn(server, { env });
    await expect(vault.access(userpass).observe(place)).rejects.toMatchObject({
      code: "VaultLoginFailed",
      message: `Environment variable ${variable} not set`,
    });
    await vault.close();
  });

  test("a wrong password fails fast until its backoff is over, and recovers when it is set right", async () => {
    const env = await user();
    const clock = new FakeClock();
    const metrics = new Requests();
    const wrong = uniqueName("canary-wrong");
    const { vault, logs } = vaultOn(server, {
      env: { ...env, VAULT_PASSWORD: wrong },
      clock,
      metrics,
    });
    const access = vault.access(userpass);
    const error = await access.observe(place).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "VaultLoginFailed", message: expect.stringContaining("VAULT_PASSWORD") });
    expect(String(error)).not.toContain("canary");
    expect(await access.observe(place).catch((thrown: unknown) => thrown)).toBe(error);
    expect(metrics.list).toEqual(["POST 400"]);

    await clock.advance(1_000);
    expect(await look(access)).toBe("VaultLoginFailed");
    expect(metrics.list).toEqual(["POST 400", "POST 400"]);

    await admin.send("POST", `auth/userpass/users/${env.VAULT_USERNAME}/password`, { password: wrong });
    await clock.advance(2_000);
    expect(await look(access)).toBe("absent");
    expect(metrics.logins).toEqual(["userpass VaultLoginFailed", "userpass VaultLoginFailed", "userpass ok"]);
    expect(logs.count("canary")).toBe(0);
    await vault.close();
  });

  test("a login that asks for a second factor is no crash", async () => {
    const env = await user();
    const { data } = await admin.send("POST", "identity/mfa/method/totp", { issuer: "test", period: 30 });
    await admin.ask("POST", `identity/entity`, { name: env.VAULT_USERNAME });
    const entity = (await admin.send("GET", `identity/entity/name/${env.VAULT_USERNAME}`)).data.id;
    const { accessor } = (await admin.send("GET", "sys/auth")).data["userpass/"];
    await admin.send("POST", "identity/entity-alias", {
      name: env.VAULT_USERNAME,
      canonical_id: entity,
      mount_accessor: accessor,
    });
    await admin.send("POST", `identity/mfa/login-enforcement/${uniqueName("mfa")}`, {
      mfa_method_ids: [data.method_id],
      identity_entity_ids: [entity],
    });
    const { vault } = vaultOn(server, { env });
    await expect(vault.access(userpass).observe(place)).rejects.toMatchObject({
      code: "VaultLoginFailed",
      message: expect.stringContaining("without a token"),
    });
    await vault.close();
  });

  test("renewed at about two thirds of its life, again and again, never logged in anew", async () => {
    const env = await user({ token_ttl: "90s", token_max_ttl: "24h" });
    const clock = new FakeClock();
    const metrics = new Requests();
    const { vault, logs } = vaultOn(server, { env, clock, metrics });
    const access = vault.access(userpass);
    expect(await look(access)).toBe("absent");
    for (let renewal = 1; renewal <= 3; renewal += 1) {
      const wait = clock.nextTimerMs ?? 0;
      expect(wait).toBeGreaterThanOrEqual(53_000);
      expect(wait).toBeLessThanOrEqual(60_000);
      await clock.advance(wait);
      await eventually(() => expect([metrics.posts, clock.timers]).toEqual([1 + renewal, 1]));
    }
    expect(await look(access)).toBe("absent");
    expect(logs.count("logged in")).toBe(1);
    expect(await accessorsOf(env.VAULT_USERNAME)).toHaveLength(1);
    await vault.close();
  });

  test("logged in anew at the end of a token that cannot be renewed", async () => {
    const env = await user({ token_type: "batch", token_ttl: "60s" });
    const clock = new FakeClock();
    const { vault, logs } = vaultOn(server, { env, clock });
    const access = vault.access(userpass);
    expect(await look(access)).toBe("absent");
    expect(clock.timers).toBe(0);
    await clock.advance(53_000);
    expect(await look(access)).toBe("absent");
    expect(logs.count("logged in")).toBe(1);
    await clock.advance(1_000);
    expect(await look(access)).toBe("absent");
    expect(logs.count("logged in")).toBe(2);
    await vault.close();
  });

  test("batch tokens: nothing is renewed or revoked, there is no accessor", async () => {
    const env = await user({ token_type: "batch", token_ttl: "60s" });
    const metrics = new Requests();
    const { vault, logs } = vaultOn(server, { env, metrics });
    expect(await look(vault.access(userpass))).toBe("absent");
    expect(await accessorsOf(env.VAULT_USERNAME)).toEqual([]);
    await vault.close();
    expect(metrics.posts).toBe(1);
    expect(logs.count("warn")).toBe(0);
  });

  test("near the maximum life of a token another takes its place, without a renewal in vain, and the old is revoked", async () => {
    const env = await user({ token_ttl: "60s", token_max_ttl: "24h" });
    const clock = new FakeClock();
    const metrics = new Requests();
    const { vault, logs } = vaultOn(server, { env, clock, metrics });
    const access = vault.access(userpass);
    expect(await look(access)).toBe("absent");
    // From now on a renewal gives half of what the login gave, as it does near the maximum.
    const lower = { token_ttl: "30s", token_max_ttl: "30s" };
    await admin.send("POST", `auth/userpass/users/${env.VAULT_USERNAME}`, { ...lower, token_policies: scene.policy });
    await clock.advance(clock.nextTimerMs ?? 0);
    await eventually(() => expect([metrics.posts, clock.timers]).toEqual([2, 0]));
    await clock.advance(26_000);
    expect(await look(access)).toBe("absent");
    expect(logs.count("logged in")).toBe(1);
    await clock.advance(1_000);
    expect(await look(access)).toBe("absent");
    expect(logs.count("logged in")).toBe(2);
    await scene.untilTokens(env.VAULT_USERNAME, 1);
    expect(logs.count("warn")).toBe(0);
    await vault.close();
  });

  test("a token with a use limit is replaced before it is used up, and no use is spent on renewals", async () => {
    const env = await user({ token_num_uses: 5, token_ttl: "60s" });
    const clock = new FakeClock();
    const metrics = new Requests();
    const { vault, logs } = vaultOn(server, { env, clock, metrics });
    const access = vault.access(userpass);
    for (let round = 0; round < 12; round += 1) expect(await look(access)).toBe("absent");
    const states = await Promise.all(Array.from({ length: 13 }, () => look(access)));
    expect(new Set(states)).toEqual(new Set(["absent"]));
    expect(logs.count("logged in")).toBe(5);
    expect(metrics.list).toHaveLength(5 + 25);
    expect(clock.timers).toBe(0);
    await vault.close();
  });

  test("of a token with a use limit a refusal costs one look-up", async () => {
    const token_policies = await admin.policy({ [`${mount}/data/*`]: ["read"] });
    const env = await user({ token_num_uses: 4, token_policies });
    const { vault, logs } = vaultOn(server, { env });
    const access = vault.access(userpass);
    await expect(access.write(place, plain({ a: "1" }), 0)).rejects.toMatchObject({ code: "VaultPermissionDenied" });
    expect(logs.count("logged in")).toBe(1);
    expect(await look(access)).toBe("absent");
    expect(logs.count("logged in")).toBe(1);
    await vault.close();
  });

  test("released, its token is revoked; the next use logs in anew", async () => {
    const env = await user();
    const clock = new FakeClock();
    const { vault, logs } = vaultOn(server, { env, clock });
    const before = vault.access(userpass);
    expect(await look(before)).toBe("absent");
    vault.release(userpass);
    await scene.untilTokens(env.VAULT_USERNAME, 0);
    expect(clock.timers).toBe(0);
    expect(await look(before)).toBe("VaultUnavailable");
    expect(await look(vault.access(userpass))).toBe("absent");
    expect(logs.count("logged in")).toBe(2);
    await vault.close();
    expect(await accessorsOf(env.VAULT_USERNAME)).toEqual([]);
  });

  test("past the maximum life of its tokens nothing fails", async () => {
    const env = await user({ token_ttl: "1s", token_max_ttl: "2s" });
    const metrics = new Requests();
    const { vault, logs } = vaultOn(server, { env, metrics });
    const access = vault.access(userpass);
    const until = performance.now() + 5_000;
    while (performance.now() < until) expect(await look(access)).toBe("absent");
    expect(logs.count("logged in")).toBeGreaterThanOrEqual(2);
    expect(metrics.posts).toBeLessThan(20);
    await vault.close();
  });

  test("a revoked token is replaced within the request, by one login", async () => {
    const env = await user();
    const { vault, logs } = vaultOn(server, { env });
    const access = vault.access(userpass);
    expect(await look(access)).toBe("absent");
    for (const accessor of await accessorsOf(env.VAULT_USERNAME)) {
      await admin.send("POST", "auth/token/revoke-accessor", { accessor });
    }
    const states = await Promise.all(Array.from({ length: 20 }, () => look(access)));
    expect(new Set(states)).toEqual(new Set(["absent"]));
    expect(logs.count("logged in")).toBe(2);
    await vault.close();
  });

  test("a refusal that is meant is no reason to log in again", async () => {
    const env = await user({ token_policies: await admin.policy({ [`${mount}/data/*`]: ["read"] }) });
    const { vault, logs } = vaultOn(server, { env });
    const access = vault.access(userpass);
    for (let round = 0; round < 3; round += 1) {
      await expect(access.write(place, plain({ a: "1" }), 0)).rejects.toMatchObject({ code: "VaultPermissionDenied" });
    }
    expect(logs.count("logged in")).toBe(1);
    await vault.close();
  });
});

describe("k8s", () => {
  const identity = { method: "k8s", namespace: "" } as const;

  test("the pod's service account, read again at each login, reviewed by the API server", async () => {
    const name = uniqueName("operator");
    const directory = await mkdtemp(join(tmpdir(), "service-account-"));
    const tokenFile = join(directory, "token");
    await kube.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name, namespace: "default" } });
    const policy = await admin.policy({ [`${mount}/*`]: ["create", "read", "update", "delete"] });
    await admin.send("POST", `auth/kubernetes/role/${name}`, {
      bound_service_account_names: name,
      bound_service_account_namespaces: "default",
      token_policies: policy,
    });
    const clock = new FakeClock();
    const env = { VAULT_K8S_ROLE: name, VAULT_K8S_TOKEN_FILE: tokenFile };
    const { vault, logs } = vaultOn(server, { env, clock });
    const access = vault.access(identity);

    expect(await look(access)).toBe("VaultLoginFailed");
    await writeFile(tokenFile, "canary.not.a-token");
    await clock.advance(60_000);
    await expect(access.observe(place)).rejects.toMatchObject({
      code: "VaultLoginFailed",
      message: expect.stringContaining(name),
    });
    await writeFile(
      tokenFile,
      `${await kube.serviceAccountToken({ name, namespace: "default", expirationSeconds: 600 })}\n`,
    );
    await clock.advance(60_000);
    expect(await look(access)).toBe("absent");
    expect(logs.count("canary")).toBe(0);
    await vault.close();
    await rm(directory, { recursive: true });
  });
});

describe("a Vault that does not answer", () => {
  test("down: says the address and the cause", async () => {
    const address = `https://127.0.0.1:${await freePort()}`;
    const { vault } = vaultOn({ ...server, address }, { transport: { maxRetries: 1 } });
    await expect(vault.access(userpass).resolve("a/b")).rejects.toMatchObject({ code: "VaultLoginFailed" });
    await expect(vault.access(token).observe(place)).rejects.toMatchObject({
      code: "VaultUnavailable",
      retry: "backoff",
      message: expect.stringContaining(`${address} (ECONNREFUSED)`),
    });
    await vault.close();
  });

  test("sealed or down at start and in the middle: each is said, and over when it is over", async () => {
    await using running = await privateVault({ persistent: true });
    const { vault } = vaultOn(running.info, { transport: { maxRetries: 0 } });
    const access = vault.access(token);
    await running.seal();
    expect(await look(access)).toBe("VaultSealed");
    await running.unseal();
    const back = async () => expect(await look(access)).toBe("absent");
    await eventually(back);
    await running.seal();
    expect(await look(access)).toBe("VaultSealed");
    await running.unseal();
    await eventually(back);
    await running.stop();
    expect(await look(access)).toBe("VaultUnavailable");
    await running.start();
    expect(await look(access)).toBe("VaultSealed");
    await running.unseal();
    await eventually(back);
    await vault.close();
  });
});
