// Token life as a state machine, over random sequences and simulated days. The answers of a real Vault are the matter of
// test/integration/vault-session.test.ts.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { FakeVault, type TokenRole } from "../../test/gen/fake-vault.ts";
import { OperatorError } from "../base/errors.ts";
import type { Login } from "./auth/login.ts";
import { VaultClient } from "./client.ts";
import { Session } from "./session.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const hour = 3_600;

function sessionAt(vault: FakeVault, clock: FakeClock, login: Login = vault.login) {
  const session = new Session({
    door: { transport: vault, namespace: "" },
    login,
    who: { method: "userpass" },
    clock,
    logger: silent,
    random: () => 0.5,
  });
  const client = new VaultClient({ transport: vault, session });
  /** So many requests at once. @returns how many did not succeed */
  const use = async (count: number): Promise<number> => {
    const call = { method: "GET", path: "kv/data/x", namespace: "" } as const;
    const results = await Promise.allSettled(Array.from({ length: count }, () => client.request(call)));
    return results.filter((result) => result.status === "rejected" || result.value.status !== 200).length;
  };
  return { session, use };
}

const roles: fc.Arbitrary<TokenRole> = fc.record({
  ttl: fc.integer({ min: 20, max: 2 * hour }),
  maxTtl: fc.oneof(fc.constant(0), fc.integer({ min: 20, max: 5 * hour })),
  uses: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 1, max: 30 }) }),
  type: fc.constantFrom("service", "batch"),
});

/** `life`: the life of a token, and so many seconds more or less. */
type Step = readonly ["use" | "wait" | "life", number] | readonly ["revoke" | "down" | "closed" | "up"];

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.tuple(fc.constant("use" as const), fc.integer({ min: 1, max: 10 })),
    fc.tuple(fc.constant("wait" as const), fc.integer({ min: 1, max: 3 * hour })),
    fc.tuple(fc.constant("life" as const), fc.integer({ min: -10, max: 10 })),
    fc.tuple(fc.constantFrom("revoke" as const, "down" as const, "closed" as const, "up" as const)),
  ),
  { maxLength: 40 },
);

/** Longest backoff after a failed login, and then some; ms. */
const settledMs = 61_000;
/** Logins because of a token that Vault does not know are no closer; ms. */
const betweenReplacementsMs = 10_000;

test("whatever happens, no request fails without a cause, none comes too late, and one token lives at a time", async () => {
  const property = async (role: TokenRole, sequence: readonly Step[]) => {
    const clock = new FakeClock();
    const vault = new FakeVault(role.type === "batch" ? { ...role, uses: 0 } : role, clock);
    const { session, use } = sessionAt(vault, clock);
    let trouble = Number.NEGATIVE_INFINITY;
    let revoked = Number.NEGATIVE_INFINITY;
    /** Of a use that an outage took nobody knows whether Vault counted it: such a token may be left to expire. */
    let isCertain = true;
    for (const [what, amount = 0] of sequence) {
      const now = clock.monotonic();
      if (what === "use") {
        const failed = await use(amount);
        const isExcused = vault.state !== "up" || now - trouble < settledMs || now - revoked < betweenReplacementsMs;
        if (!isExcused) expect(failed).toBe(0);
        if (vault.state === "down") expect(failed).toBe(amount);
      } else if (what === "wait") await clock.advance(amount * 1_000);
      else if (what === "life") await clock.advance((role.ttl + amount) * 1_000);
      else if (what === "revoke") {
        // The first one is to be mended at once; what comes soon after it may wait.
        await clock.advance(betweenReplacementsMs);
        vault.revokeAll();
        expect(vault.state !== "up" || clock.monotonic() - trouble < settledMs ? 0 : await use(1)).toBe(0);
        revoked = clock.monotonic();
      } else {
        if (vault.state !== "up") trouble = now;
        if (what === "down" && role.uses > 0) isCertain = false;
        vault.state = what;
      }
      expect(vault.late).toBe(0);
      expect(clock.timers).toBeLessThanOrEqual(1);
      if (isCertain && vault.state === "up" && clock.monotonic() - trouble > settledMs)
        expect(vault.leases).toBeLessThanOrEqual(1);
    }
    const couldRevoke = vault.state !== "down";
    const lost = vault.leases;
    await session.close();
    expect(clock.timers).toBe(0);
    if (isCertain) expect(vault.leases).toBe(couldRevoke ? Math.max(0, lost - 1) : lost);
  };
  await fc.assert(fc.asyncProperty(roles, steps, property), { numRuns: 300 });
});

describe("logins in a day of 200 objects that are looked at every two minutes", () => {
  test.each<[string, TokenRole, { readonly logins: number; readonly renewals: number }]>([
    ["periodic tokens of an hour", { ttl: hour, maxTtl: 0, uses: 0, type: "service" }, { logins: 1, renewals: 37 }],
    [
      "tokens of an hour, a day at most",
      { ttl: hour, maxTtl: 24 * hour, uses: 0, type: "service" },
      { logins: 2, renewals: 37 },
    ],
    ["batch tokens of an hour", { ttl: hour, maxTtl: hour, uses: 0, type: "batch" }, { logins: 27, renewals: 0 }],
    [
      "tokens of 10,000 uses",
      { ttl: 24 * hour, maxTtl: 0, uses: 10_000, type: "service" },
      { logins: 15, renewals: 0 },
    ],
  ])("%s", async (_, role, expected) => {
    const clock = new FakeClock();
    const vault = new FakeVault(role, clock);
    const { session, use } = sessionAt(vault, clock);
    for (let minutes = 0; minutes < 24 * 60; minutes += 2) {
      expect(await use(200)).toBe(0);
      await clock.advance(120_000);
    }
    expect({ logins: vault.logins, renewals: vault.renewals }).toEqual(expected);
    await session.close();
    expect(vault.leases).toBe(0);
  });
});

test("a bad identity backs off by itself: 60 refused logins an hour at most, however many ask", async () => {
  const clock = new FakeClock();
  const vault = new FakeVault({ ttl: hour, maxTtl: 0, uses: 0, type: "service" }, clock);
  vault.state = "closed";
  let refused = 0;
  const login: Login = {
    logIn(door) {
      refused += 1;
      return vault.login.logIn(door);
    },
  };
  const { use } = sessionAt(vault, clock, login);
  for (let second = 0; second < hour; second += 1) {
    expect(await use(10)).toBe(10);
    await clock.advance(1_000);
  }
  expect(refused).toBeGreaterThan(50);
  expect(refused).toBeLessThan(100);
});

const why = new OperatorError("VaultLoginFailed", "not allowed any more");

/** A login that can be taken away. */
class Permit implements Login {
  refused: OperatorError | undefined;
  readonly #login: Login;

  constructor(login: Login) {
    this.#login = login;
  }

  logIn: Login["logIn"] = (door) =>
    this.refused === undefined ? this.#login.logIn(door) : Promise.reject(this.refused);
  refusal = () => Promise.resolve(this.refused);
}

test("a login that is not allowed any more: within the hour its token is revoked, and the next use says why", async () => {
  const clock = new FakeClock();
  const vault = new FakeVault({ ttl: 30 * 24 * hour, maxTtl: 0, uses: 0, type: "service" }, clock);
  const permit = new Permit(vault.login);
  const { session, use } = sessionAt(vault, clock, permit);
  expect(await use(1)).toBe(0);
  await clock.advance(hour * 1_000);
  expect(vault.renewals).toBe(1);
  permit.refused = why;
  await clock.advance(hour * 1_000);
  expect([vault.renewals, vault.leases, clock.timers]).toEqual([1, 0, 0]);
  await expect(session.token()).rejects.toBe(why);
  permit.refused = undefined;
  await clock.advance(60_000);
  expect(await use(1)).toBe(0);
});

test.each<[string, TokenRole]>([
  ["batch", { ttl: 30 * 24 * hour, maxTtl: 0, uses: 0, type: "batch" }],
  ["with a use limit", { ttl: 30 * 24 * hour, maxTtl: 0, uses: 1_000, type: "service" }],
  ["at their maximum", { ttl: 30 * 24 * hour, maxTtl: hour, uses: 0, type: "service" }],
])("the same for tokens that are never renewed, %s", async (_, role) => {
  const clock = new FakeClock();
  const vault = new FakeVault(role, clock);
  const permit = new Permit(vault.login);
  const { session, use } = sessionAt(vault, clock, permit);
  expect(await use(1)).toBe(0);
  permit.refused = why;
  await clock.advance(hour * 1_000);
  await expect(session.token()).rejects.toBe(why);
});

test("a login that does not end fails after a minute, and the token that comes after all is given back", async () => {
  const clock = new FakeClock();
  const vault = new FakeVault({ ttl: hour, maxTtl: 0, uses: 0, type: "service" }, clock);
  const held = Promise.withResolvers<void>();
  const login: Login = { logIn: (door) => held.promise.then(() => vault.login.logIn(door)) };
  const { session } = sessionAt(vault, clock, login);
  const token = session.token();
  const failed = token.catch((error: unknown) => error);
  await clock.advance(60_000);
  expect(await failed).toMatchObject({ code: "VaultUnavailable", message: expect.stringContaining("within 60 s") });
  held.resolve();
  await clock.advance(1_000);
  expect(vault.leases).toBe(0);
  await session.close();
});
