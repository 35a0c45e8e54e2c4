// AppRole at the real server: with a secret id, with none, and with one that comes as a response-wrapping token, whose
// loss and whose exchange for another must show.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { JsonClient } from "../env/http.ts";
import { uniqueName } from "../env/unique.ts";
import { FakeClock } from "../gen/fake-clock.ts";
import { sessionScene } from "./session-scene.ts";
import { Requests, vaultOn } from "./vault-fixture.ts";

const server = testEnv().stack.vault;
const scene = await sessionScene(server);
const { admin } = scene;
const mount = uniqueName("approle");
const approle = { method: "approle", namespace: "" } as const;
const directory = await mkdtemp(join(tmpdir(), "approle-"));
const client = new JsonClient(server.address, { caPem: server.caPem }, { "x-vault-token": server.rootToken });

beforeAll(() => admin.send("POST", `sys/auth/${mount}`, { type: "approle" }));
afterAll(async () => {
  await Promise.all([admin.close(), client.close(), rm(directory, { recursive: true })]);
});

/** A role at the mount. @returns its name, and the variables to log in to it without a secret id */
async function role(options: object = {}) {
  const name = uniqueName("role");
  const path = `auth/${mount}/role/${name}`;
  await admin.send("POST", path, { token_policies: scene.policy, token_ttl: "60s", token_type: "batch", ...options });
  const { role_id } = (await admin.send("GET", `${path}/role-id`)).data;
  return { path, env: { VAULT_APPROLE_ROLE_ID: role_id, VAULT_APPROLE_ENDPOINT: `auth/${mount}/login` } };
}

/** A wrapping token for the answer to a request. */
async function wrapped(method: string, path: string, body: object = {}): Promise<string> {
  const headers = { "x-vault-wrap-ttl": "300s" };
  const sent = { method, path: `/v1/${path}`, headers, ...(method !== "GET" && { body }) };
  return (await client.send(sent)).wrap_info.token;
}

test("a secret id, or none where the role asks for none", async () => {
  const { path, env } = await role();
  const { secret_id } = (await admin.send("POST", `${path}/secret-id`)).data;
  const { vault } = vaultOn(server, { env: { ...env, VAULT_APPROLE_SECRET_ID: secret_id } });
  expect(await scene.look(vault.access(approle))).toBe("absent");
  const free = await role({ bind_secret_id: false, secret_id_bound_cidrs: [], token_bound_cidrs: ["127.0.0.0/8"] });
  const { vault: other } = vaultOn(server, { env: free.env });
  expect(await scene.look(other.access(approle))).toBe("absent");
  await Promise.all([vault.close(), other.close()]);
});

test("a wrong secret id fails with what to check, and is not shown", async () => {
  const { env } = await role();
  const { vault, logs } = vaultOn(server, { env: { ...env, VAULT_APPROLE_SECRET_ID: "canary-secret-id" } });
  const { code, message } = await scene.failure(vault.access(approle));
  expect(code).toBe("VaultLoginFailed");
  expect(message).toContain("VAULT_APPROLE_ROLE_ID");
  expect(message + logs.lines.join("")).not.toContain("canary");
  await vault.close();
});

describe("a wrapped secret id", () => {
  /** A product that is given a wrapping token in a file. */
  async function given(env: Readonly<Record<string, string>>, token: string) {
    const file = join(directory, uniqueName("wrapped"));
    await writeFile(file, `${token}\n`);
    const clock = new FakeClock();
    const metrics = new Requests();
    const more = { VAULT_APPROLE_SECRET_ID_FILE: file, VAULT_APPROLE_SECRET_ID_WRAPPED: "true" };
    const made = vaultOn(server, { env: { ...env, ...more }, clock, metrics });
    return { ...made, file, clock, metrics, access: made.vault.access(approle) };
  }

  test.each(["secret-id", "custom-secret-id"])("of %s is unwrapped once, for every login", async (kind) => {
    const { path, env } = await role();
    const body = kind === "secret-id" ? {} : { secret_id: uniqueName("canary") };
    const { vault, logs, clock, metrics, access } = await given(env, await wrapped("POST", `${path}/${kind}`, body));
    for (let minute = 0; minute < 3; minute += 1) {
      const states = await Promise.all(Array.from({ length: 5 }, () => scene.look(access)));
      expect(new Set(states)).toEqual(new Set(["absent"]));
      await clock.advance(60_000);
    }
    expect(logs.count("logged in")).toBe(3);
    // A look-up of the wrapping token, its exchange, three logins.
    expect(metrics.posts).toBe(5);
    expect(logs.count("canary")).toBe(0);
    await vault.close();
  });

  test("that somebody else unwrapped before us is an alarm, and over with a new one", async () => {
    const { path, env } = await role();
    const token = await wrapped("POST", `${path}/secret-id`);
    await admin.send("POST", "sys/wrapping/unwrap", { token });
    const { vault, logs, file, clock, access } = await given(env, token);
    const { code, message } = await scene.failure(access);
    expect(code).toBe("VaultLoginFailed");
    expect(message).toContain("somebody else may have unwrapped it");
    expect(message + logs.lines.join("")).not.toContain(token);
    await writeFile(file, await wrapped("POST", `${path}/secret-id`));
    await clock.advance(60_000);
    expect(await scene.look(access)).toBe("absent");
    await vault.close();
  });

  test("a new wrapping token is taken up at the next login, when the secret id is no good any more", async () => {
    const { path, env } = await role({ secret_id_num_uses: 1 });
    const { vault, file, clock, access } = await given(env, await wrapped("POST", `${path}/secret-id`));
    expect(await scene.look(access)).toBe("absent");
    await clock.advance(60_000);
    expect((await scene.failure(access)).message).toContain("used up");
    await writeFile(file, await wrapped("POST", `${path}/secret-id`));
    await clock.advance(60_000);
    expect(await scene.look(access)).toBe("absent");
    await vault.close();
  });

  test.each([
    ["some data", "POST", "sys/wrapping/wrap", { secret_id: "canary" }],
    ["a role's id", "GET", `auth/${mount}/role/ROLE/role-id`, {}],
    ["a secret id of another mount", "POST", "auth/OTHER/role/other/secret-id", {}],
  ])("%s in its place is refused before it is unwrapped", async (_, method, template, body) => {
    const { path, env } = await role();
    const other = uniqueName("approle");
    await admin.send("POST", `sys/auth/${other}`, { type: "approle" });
    await admin.send("POST", `auth/${other}/role/other`, {});
    const at = template.replace("OTHER", other).replace(`auth/${mount}/role/ROLE`, path);
    const token = await wrapped(method, at, body);
    const { vault, access } = await given(env, token);
    expect((await scene.failure(access)).message).toContain("somebody may have put it in place of ours");
    // Nothing was taken out of it.
    expect((await admin.ask("POST", "sys/wrapping/lookup", { token })).status).toBe(200);
    await vault.close();
  });
});
