// The loop under both kinds of certificate: who hears of a pair and when, and what trouble does.
import { expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { PairLoop } from "./pair-loop.ts";

const pairs = ["a", "b", "c"].map((name) => ({ cert: `certificate ${name}`, key: `key ${name}` }));

/** A loop whose looks do these things, one after the other and the last one for ever, 1 ms apart. */
function loopOf(looks: ReadonlyArray<number | Error>) {
  const lines: string[] = [];
  const note = (_fields: unknown, message: string) => lines.push(message);
  let done = 0;
  const loop = new PairLoop({
    look: (offer) => {
      const next = looks[Math.min(done, looks.length - 1)] ?? 0;
      done += 1;
      if (next instanceof Error) return Promise.reject(next);
      const pair = pairs[next];
      if (pair !== undefined) offer(pair);
      return Promise.resolve(1);
    },
    retryMs: 1,
    trouble: "trouble",
    clock: systemClock,
    logger: { debug: note, info: note, warn: note, error: note },
  });
  return { loop, lines, looks: () => done };
}

const forever = new AbortController().signal;

test("the first pair is waited for, each later one is told once, in order", async () => {
  await using given = closing(loopOf([new Error("not there"), 0, 0, 1, 1, 2]));
  const heard: string[] = [];
  const first = given.loop.first(forever);
  given.loop.onChange(({ cert }) => heard.push(cert));
  expect(await first).toEqual(pairs[0]);
  await expect.poll(() => heard).toEqual(["certificate b", "certificate c"]);
  const looks = given.looks();
  await expect.poll(given.looks).toBeGreaterThan(looks + 3);
  expect(heard).toHaveLength(2);
});

test("a change between the first pair and the listener is not lost", async () => {
  await using given = closing(loopOf([0, 1]));
  expect(await given.loop.first(forever)).toEqual(pairs[0]);
  await expect.poll(given.looks).toBeGreaterThan(3);
  const heard: string[] = [];
  given.loop.onChange(({ cert }) => heard.push(cert));
  expect(heard).toEqual(["certificate b"]);
});

test("a pair that its listener cannot use is offered again", async () => {
  await using given = closing(loopOf([0, 1]));
  let refusals = 0;
  const used: string[] = [];
  given.loop.onChange(({ cert }) => {
    refusals += 1;
    if (refusals < 3) throw new Error("cannot be used");
    used.push(cert);
  });
  await given.loop.first(forever);
  await expect.poll(() => used).toEqual(["certificate b"]);
});

test("trouble is told once while it stays the same, and its end too", async () => {
  const [down, forbidden] = [new Error("down"), new Error("forbidden")];
  await using given = closing(loopOf([down, down, down, forbidden, forbidden, 0]));
  await given.loop.first(forever);
  await expect.poll(() => given.lines).toHaveLength(3);
  expect(given.lines).toEqual(["trouble", "trouble", "the webhook's certificate is in order again"]);
});

function closing<T extends { readonly loop: PairLoop }>(given: T): T & AsyncDisposable {
  return { ...given, [Symbol.asyncDispose]: () => given.loop.close() };
}
