// The steps of a rotation, one by one; self-signed.test.ts lets several replicas take them at the same time.
import { beforeAll, expect, test } from "vitest";
import { issuePair } from "./certificate-authority.ts";
import { bundleOf, type CertificateState, decodeState, encodeState, type IssuedPair } from "./certificate-state.ts";
import { defaultPeriods, nextStep, type Periods, type Seen, stateAfter } from "./rotation.ts";

const now = Date.parse("2026-11-24T12:00:00Z");
const periods: Periods = { validityMs: 900, renewBeforeMs: 300, announceMs: 20, retireMs: 50, lookEveryMs: 5 };
const names = ["hook.ns.svc"];
let one: IssuedPair;
let two: IssuedPair;

beforeAll(async () => {
  const order = { names, now, validityMs: defaultPeriods.validityMs };
  [one, two] = await Promise.all([issuePair(order), issuePair(order)]);
});

/** A pair that ends so many ms from now. */
function ending(pair: IssuedPair, inMs: number): IssuedPair {
  return { ...pair, notAfter: now + inMs };
}

function step(state: CertificateState | undefined, more: Partial<Seen> = {}): string {
  return nextStep({ state, settledMs: 1_000_000, now, names, ...more }, periods);
}

test("with nothing that can be served it begins", () => {
  expect(step(undefined)).toBe("begin");
  expect(step({ serving: ending(one, 0) })).toBe("begin");
  expect(step({ serving: ending(one, -5), next: ending(two, 0) })).toBe("begin");
});

test("it waits until a third of the validity is left, and no longer", () => {
  expect(step({ serving: ending(one, 301) })).toBe("wait");
  expect(step({ serving: ending(one, 300) })).toBe("announce");
});

test("a certificate that lacks one of the names is replaced; one with more names is not", () => {
  expect(step({ serving: ending(one, 900) }, { names: ["hook.ns.svc", "10.0.0.1"] })).toBe("announce");
  expect(step({ serving: ending(one, 900) }, { names: [] })).toBe("wait");
});

test("the next certificate is served once its authority has been trusted for long enough", () => {
  const state = { serving: ending(one, 300), next: ending(two, 900) };
  expect(step(state, { settledMs: 19 })).toBe("wait");
  expect(step(state, { settledMs: 20 })).toBe("promote");
});

test("an expired certificate is replaced by the next at once; a next one that has expired is made anew", () => {
  expect(step({ serving: ending(one, 0), next: ending(two, 900) }, { settledMs: 0 })).toBe("promote");
  expect(step({ serving: ending(one, 300), next: ending(two, 0) })).toBe("announce");
});

test("the old authority leaves after everybody has switched", () => {
  const state = { serving: ending(two, 900), previousCa: one.ca };
  expect(step(state, { settledMs: 49 })).toBe("wait");
  expect(step(state, { settledMs: 50 })).toBe("retire");
});

test("a whole rotation; the certificate changes between two states that trust the same authorities", async () => {
  const steps: CertificateState[] = [{ serving: one }];
  for (const taken of ["announce", "promote", "retire"] as const) {
    steps.push(await stateAfter(taken, steps.at(-1), () => Promise.resolve(two)));
  }
  const both = [one.ca, two.ca].toSorted().join("");
  expect(steps.map(bundleOf)).toEqual([one.ca, both, both, two.ca]);
  expect(steps.map(({ serving }) => serving.cert)).toEqual([one.cert, one.cert, two.cert, two.cert]);
});

test("a Secret that is gone does not end what is served: the next pair is announced beside it", async () => {
  const fresh = () => Promise.resolve(two);
  expect(await stateAfter("begin", { serving: one }, fresh)).toEqual({ serving: one, next: two });
  expect(await stateAfter("begin", undefined, fresh)).toEqual({ serving: two });
});

test("each state is read from the Secret as it was written; parts that cannot be used are absent", () => {
  const full = { serving: one, next: two, previousCa: two.ca };
  const data = encodeState(full);
  expect(decodeState(data)).toEqual(full);
  expect(decodeState({ ...data, "next-tls.key": one.key })).toEqual({ serving: one, previousCa: two.ca });
  expect(decodeState({ ...data, "previous-ca.crt": "none" })).toEqual({ serving: one, next: two });
  for (const broken of [{ "tls.key": two.key }, { "ca.crt": two.ca }, { "tls.crt": "" }, { "tls.key": "none" }]) {
    expect(decodeState({ ...data, ...broken })).toBeUndefined();
  }
  expect(decodeState({})).toBeUndefined();
});
