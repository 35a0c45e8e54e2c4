import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import type { Lease } from "./lease.ts";
import { fairShare, Membership } from "./membership.ts";

const lease = (holderIdentity: string, renewTime: string): Lease => ({
  metadata: { namespace: "ns", name: `lease-replica-${holderIdentity}` },
  spec: { holderIdentity, renewTime },
});

test("a member lives as long as its record changes, whatever its clock says", async () => {
  const clock = new FakeClock();
  const membership = new Membership(clock, 15_000);
  membership.see([lease("b", "2998"), lease("a", "2999")]);
  expect(membership.live()).toEqual(["a", "b"]);
  await clock.advance(14_999);
  membership.see([lease("b", "2998"), lease("a", "1971")]);
  expect(membership.live()).toEqual(["a", "b"]);
  await clock.advance(1);
  expect(membership.live()).toEqual(["a"]);
  expect(membership.forgotten()).toEqual([]);
  await clock.advance(600_000);
  expect(membership.forgotten()).toContain("lease-replica-b");
  membership.see([]);
  expect(membership.live()).toEqual([]);
});

test("who was silent for long when first seen counts only once its record changes", () => {
  const membership = new Membership(new FakeClock(), 15_000);
  membership.see([lease("dead", "2025-12-31T23:59:44Z"), lease("slow", "2025-12-31T23:59:46Z")]);
  expect(membership.live()).toEqual(["slow"]);
  membership.see([lease("dead", "2025-12-31T23:59:45Z"), lease("slow", "2025-12-31T23:59:46Z")]);
  expect(membership.live()).toEqual(["dead", "slow"]);
});

test("shares add up to all shards and differ by one at most", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 64 }),
      (names, shards) => {
        const members = names.toSorted();
        const shares = members.map((name) => fairShare(members, name, shards));
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(shards);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      },
    ),
  );
});

test("who is no member gets nothing", () => {
  expect(fairShare(["a", "b"], "c", 4)).toBe(0);
  expect(fairShare([], "c", 4)).toBe(0);
});
