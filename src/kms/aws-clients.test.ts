// How many clients there are, and who shares a budget; nothing is asked of anybody.
import { expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { AwsClients } from "./aws-clients.ts";

function clientsOf(clock = new FakeClock()): AwsClients {
  return new AwsClients({
    clock,
    region: "eu-central-1",
    maxInFlight: 1,
    perSecond: Number.POSITIVE_INFINITY,
    connectTimeoutMs: 1,
    requestTimeoutMs: 1,
  });
}

const role = (account: string, name: string) => `arn:aws:iam::${account}:role/${name}`;

test("one client per region and role, one budget per region and account", async () => {
  const clients = clientsOf();
  const own = await clients.of(undefined, undefined);
  expect(await clients.of("eu-central-1", undefined)).toBe(own);
  const [a, b] = [role("111122223333", "a"), role("111122223333", "b")];
  const [asA, asB] = [await clients.of(undefined, a), await clients.of(undefined, b)];
  expect(asA).not.toBe(asB);
  expect(asA.budget).toBe(asB.budget);
  expect(asA.budget).not.toBe(own.budget);
  expect((await clients.of("us-east-1", a)).budget).not.toBe(asA.budget);
  expect((await clients.of(undefined, role("444455556666", "a"))).budget).not.toBe(asA.budget);
  clients.close();
});

test("those that are not used are closed after ten minutes, those in use are not", async () => {
  const clock = new FakeClock();
  const clients = clientsOf(clock);
  const [used, unused] = [await clients.of("eu-west-1", undefined), await clients.of("eu-west-2", undefined)];
  used.calls += 1;
  await clock.advance(600_001);
  await clients.of("eu-west-3", undefined);
  expect(await clients.of("eu-west-1", undefined)).toBe(used);
  expect(await clients.of("eu-west-2", undefined)).not.toBe(unused);
  clients.close();
});

test("beyond 32 the one that was used longest ago goes", async () => {
  const clients = clientsOf();
  const first = await clients.of("eu-north-1", undefined);
  const second = await clients.of("eu-north-2", undefined);
  for (let count = 0; count < 30; count += 1) await clients.of(`us-north-${count}`, undefined);
  expect(await clients.of("eu-north-1", undefined)).toBe(first);
  await clients.of("us-south-1", undefined);
  expect(await clients.of("eu-north-1", undefined)).toBe(first);
  expect(await clients.of("eu-north-2", undefined)).not.toBe(second);
  clients.close();
});
