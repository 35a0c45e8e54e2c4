import { describe, expect, test } from "vitest";
import { Plaintext } from "../base/plaintext.ts";
import type { Decryptor } from "../kms/cipher.ts";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { throughTurnstile } from "./turnstile.ts";

const request = { encryptedSecret: "", encryptionContext: {} };

/** A Decryptor whose calls end when they are told to. */
function held() {
  const open: (() => void)[] = [];
  const decryptor: Decryptor = {
    decrypt: () => new Promise((resolve) => open.push(() => resolve(new Plaintext(new Uint8Array())))),
  };
  return { decryptor, open };
}

describe("calls under way", () => {
  test("are so many at most; the next goes when one ends, in the order of asking", async () => {
    const clock = new FakeClock();
    const { decryptor, open } = held();
    const limited = throughTurnstile(decryptor, { clock, perSecond: 1_000, inFlight: 2 });
    const done: number[] = [];
    const calls = [0, 1, 2, 3].map((call) => limited.decrypt(request, {}).then(() => done.push(call)));
    await settled();
    expect(open).toHaveLength(2);
    open[1]?.();
    await settled();
    expect(open).toHaveLength(3);
    open[2]?.();
    await settled();
    open[0]?.();
    open[3]?.();
    await Promise.all(calls);
    expect(done).toEqual([1, 2, 0, 3]);
  });

  test("who is not let in within a second is told so, and takes no place", async () => {
    const clock = new FakeClock();
    const { decryptor, open } = held();
    const limited = throughTurnstile(decryptor, { clock, perSecond: 1_000, inFlight: 1 });
    const first = limited.decrypt(request, {});
    const late = limited.decrypt(request, {}).catch((error: unknown) => error);
    await settled();
    await clock.advance(1_000);
    expect(await late).toMatchObject({ code: "KMSThrottled", retry: "backoff" });
    open[0]?.();
    await first;
    const next = limited.decrypt(request, {});
    await settled();
    expect(open).toHaveLength(2);
    open[1]?.();
    await next;
  });
});

describe("an object with very many entries", () => {
  const entries = 35_000;

  test("is refused as a whole, for one reason: nothing is set up for an entry, nor waited for after that", async () => {
    const clock = new FakeClock();
    const { decryptor, open } = held();
    const limited = throughTurnstile(decryptor, { clock, perSecond: 1_000, inFlight: 1 });
    const due = new AbortController();
    let listeners = 0;
    const { signal } = due;
    const listen = signal.addEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof listen>) => {
      listeners += 1;
      listen(...args);
    };
    const call = { signal };
    const errors = new Set<unknown>();
    const calls = Array.from({ length: entries }, () =>
      limited.decrypt(request, call).catch((error) => errors.add(error)),
    );
    await settled();
    expect([clock.timers, listeners, open.length]).toEqual([1, 1, 1]);
    await clock.advance(1_000);
    expect([...errors]).toEqual([expect.objectContaining({ code: "KMSThrottled" })]);
    await expect(limited.decrypt(request, call)).rejects.toBe([...errors][0]);
    open[0]?.();
    await Promise.all(calls);
    expect([open.length, clock.timers]).toEqual([1, 0]);
  });

  test("does not hold up another one: they take turns", async () => {
    const { decryptor, open } = held();
    const limited = throughTurnstile(decryptor, { clock: new FakeClock(), inFlight: 1 });
    const done: string[] = [];
    const [large, small] = [{}, {}];
    const calls = [large, large, large, small].map((call) =>
      limited.decrypt(request, call).then(() => done.push(call === large ? "large" : "small")),
    );
    for (let turn = 0; turn < calls.length; turn += 1) {
      await settled();
      open[turn]?.();
    }
    await Promise.all(calls);
    expect(done).toEqual(["large", "small", "large", "large"]);
  });

  test("may take longer than a wait, as long as none of its entries waits for long", async () => {
    const clock = new FakeClock();
    const { decryptor, open } = held();
    const limited = throughTurnstile(decryptor, { clock, inFlight: 1 });
    const call = {};
    for (let turn = 0; turn < 5; turn += 1) {
      const [one, next] = [limited.decrypt(request, call), limited.decrypt(request, call)];
      await clock.advance(900);
      open[2 * turn]?.();
      await one;
      await clock.advance(0);
      open[2 * turn + 1]?.();
      await next;
    }
    expect(open).toHaveLength(10);
  });
});

test("the rate is kept; what would have to wait for longer than a second is not asked", async () => {
  const clock = new FakeClock();
  let asked = 0;
  const decryptor: Decryptor = {
    decrypt: () => {
      asked += 1;
      return Promise.resolve(new Plaintext(new Uint8Array()));
    },
  };
  const limited = throughTurnstile(decryptor, { clock, perSecond: 4, inFlight: 100 });
  const outcomes = Array.from({ length: 10 }, () =>
    limited.decrypt(request, {}).then(
      () => "asked",
      (error: { readonly code: string }) => error.code,
    ),
  );
  await settled();
  // The burst: a quarter of a second's worth.
  expect(asked).toBe(1);
  for (let step = 0; step < 5; step += 1) await clock.advance(250);
  const counts = Object.groupBy(await Promise.all(outcomes), (outcome) => outcome);
  expect(counts["asked"]?.length).toBe(asked);
  expect(asked).toBeGreaterThanOrEqual(4);
  expect(asked).toBeLessThanOrEqual(5);
  expect(counts["KMSThrottled"]?.length).toBe(10 - asked);
});

test("a call is not waited for after its signal has aborted, before or after it was let in", async () => {
  const clock = new FakeClock();
  const { decryptor, open } = held();
  const limited = throughTurnstile(decryptor, { clock, perSecond: 1_000, inFlight: 1 });
  const due = new AbortController();
  const calls = [0, 1].map(() => limited.decrypt(request, { signal: due.signal }).catch((error: unknown) => error));
  await settled();
  due.abort();
  for (const call of calls) expect(await call).toMatchObject({ code: "KMSUnavailable", retry: "backoff" });
  const aborted = await limited.decrypt(request, { signal: due.signal }).catch((error: unknown) => error);
  expect(aborted).toMatchObject({ code: "KMSUnavailable" });
  // The first one still holds its place: it is still under way.
  expect(open).toHaveLength(1);
  open[0]?.();
  await settled();
  const next = limited.decrypt(request, {});
  await settled();
  open[1]?.();
  await next;
});

/** Lets everything happen that needs no time. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
