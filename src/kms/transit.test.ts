// What Vault transit's key service says by itself. With a real Vault: test/integration/vault-transit.test.ts.
import { expect, test } from "vitest";
import { FakeClock } from "../../test/gen/fake-clock.ts";
import { OperatorError } from "../base/errors.ts";
import { Plaintext } from "../base/plaintext.ts";
import { type TransitDoor, transitService } from "./transit.ts";

const value = { encryptedSecret: "vault:v1:AAAA", encryptionContext: {} };
const bound = { ...value, encryptionContext: { app: "shop" } };
const call = { keyId: "transit/shop" };
const plaintext = new Plaintext(Buffer.from("v"));

function serviceWith(door?: TransitDoor) {
  const clock = new FakeClock();
  return { clock, service: transitService({ door, clock, maxInFlight: 4 }) };
}

test.each([{}, { keyId: "no-mount" }, { keyId: "transit/theirs", allowedKeys: [] }])(
  "without a way to Vault nobody knows, whatever key is named: %o",
  async (named) => {
    const { service } = serviceWith();
    await expect(service.decrypt(value, named)).rejects.toMatchObject({ code: "KMSAccessDenied", retry: "backoff" });
  },
);

test("a Vault that binds is asked once whether it does, for each key, until that is long ago", async () => {
  const asked: boolean[] = [];
  const { service, clock } = serviceWith({
    async decrypt({ associatedData }) {
      asked.push(associatedData !== undefined);
      if (associatedData === undefined) throw new OperatorError("DecryptingError", "not so");
      return plaintext;
    },
  });
  const results = await Promise.all(Array.from({ length: 10 }, () => service.decrypt(bound, call)));
  expect(results).toEqual(Array.from({ length: 10 }, () => plaintext));
  expect(asked.filter((isBound) => !isBound)).toHaveLength(1);
  await service.decrypt(bound, { keyId: "transit/other" });
  expect(asked.filter((isBound) => !isBound)).toHaveLength(2);
  await clock.advance(600_000);
  await service.decrypt(bound, call);
  expect(asked.filter((isBound) => !isBound)).toHaveLength(3);
});

test("a Vault that passes over what it is given binds nothing, and is not believed; nor is one that cannot be asked", async () => {
  let trouble: OperatorError | undefined;
  const { service } = serviceWith({
    async decrypt({ associatedData }) {
      if (associatedData === undefined && trouble !== undefined) throw trouble;
      return plaintext;
    },
  });
  for (const attempt of [1, 2]) {
    const answer = service.decrypt(bound, call);
    await expect(answer, `attempt ${attempt}`).rejects.toMatchObject({
      code: "DecryptingError",
      message: expect.stringContaining("bound to nothing"),
    });
  }
  trouble = new OperatorError("KMSAccessDenied", "no");
  await expect(service.decrypt(bound, call)).rejects.toBe(trouble);
  trouble = undefined;
  expect(await service.decrypt(value, call)).toBe(plaintext);
});

test("a Vault that hangs is waited for no longer than 2 s, and then one at a time tries", async () => {
  let asked = 0;
  const { service, clock } = serviceWith({
    decrypt() {
      asked += 1;
      return new Promise(() => {});
    },
  });
  const outcome = (named = { ...call }) =>
    service.decrypt(value, named).then(
      () => "ok",
      (error: unknown) => (error as OperatorError).code,
    );
  const first = Array.from({ length: 4 }, () => outcome());
  await clock.advance(2_000);
  expect(await Promise.all(first)).toEqual(Array.from({ length: 4 }, () => "KMSUnavailable"));
  const [probe, others] = [outcome(), Array.from({ length: 20 }, () => outcome())];
  await clock.advance(2_000);
  expect(await Promise.all([probe, ...others])).toEqual(Array.from({ length: 21 }, () => "KMSUnavailable"));
  expect(asked).toBe(5);
});
