import { expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { RateLimiter } from "./rate-limit.ts";

test("a burst at once, then one after the other", async () => {
  const clock = new FakeClock();
  const limiter = new RateLimiter({ perSecond: 10, burst: 2 }, clock);
  const turns: number[] = [];
  for (let turn = 0; turn < 4; turn += 1) void limiter.turn().then(() => turns.push(clock.monotonic()));
  await clock.advance(0);
  expect(turns).toHaveLength(2);
  await clock.advance(1_000);
  expect(turns).toEqual([0, 0, 100, 200]);
});

test("a pause fills the burst and no more", async () => {
  const clock = new FakeClock();
  const limiter = new RateLimiter({ perSecond: 10, burst: 2 }, clock);
  await clock.advance(60_000);
  let turns = 0;
  for (let turn = 0; turn < 5; turn += 1) void limiter.turn().then(() => (turns += 1));
  await clock.advance(0);
  expect(turns).toBe(2);
});

test("who gives up does not wait, and leaves its turn to others", async () => {
  const clock = new FakeClock();
  const limiter = new RateLimiter({ perSecond: 1, burst: 1 }, clock);
  await limiter.turn();
  const giveUp = new AbortController();
  const waiting = limiter.turn(giveUp.signal);
  giveUp.abort();
  await expect(waiting).resolves.toBe(0);
  const next = limiter.turn();
  await clock.advance(1_000);
  await expect(next).resolves.toBe(1_000);
});
