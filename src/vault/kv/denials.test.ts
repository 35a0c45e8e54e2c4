import { expect, test } from "vitest";
import { FakeClock } from "../../../test/gen/fake-clock.ts";
import { Denials } from "./denials.ts";

test("a denial is remembered for an hour, with its reason, and forgotten when told", async () => {
  const clock = new FakeClock();
  const denials = new Denials(clock);
  denials.add("a", "why");
  denials.add("b");
  expect([denials.has("a"), denials.reason("a"), denials.has("b"), denials.has("c")]).toEqual([
    true,
    "why",
    true,
    false,
  ]);
  denials.delete("b");
  expect(denials.has("b")).toBe(false);
  await clock.advance(3_600_000);
  expect(denials.has("a")).toBe(false);
});

test("of more than fifty thousand the oldest are forgotten", () => {
  const denials = new Denials(new FakeClock());
  for (let index = 0; index <= 50_000; index += 1) denials.add(String(index));
  expect([denials.has("0"), denials.has("1"), denials.has("50000")]).toEqual([false, true, true]);
  denials.add("1");
  denials.add("new");
  expect([denials.has("1"), denials.has("2")]).toEqual([true, false]);
});
