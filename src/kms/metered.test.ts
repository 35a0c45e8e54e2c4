import { expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { OperatorError } from "../base/errors.ts";
import { Plaintext } from "../base/plaintext.ts";
import { metered } from "./metered.ts";

test("every call is reported with its outcome, and passes through unchanged", async () => {
  const reports: unknown[] = [];
  const plaintext = new Plaintext(Uint8Array.of(1));
  const failure = new OperatorError("KMSThrottled", "too many");
  const results = [Promise.resolve(plaintext), Promise.reject(failure)];
  const decryptor = metered(
    { decrypt: () => results.shift() ?? Promise.reject(new Error("asked too often")) },
    systemClock,
    (operation, outcome, seconds) => reports.push([operation, outcome, seconds >= 0]),
  );
  const request = { encryptedSecret: "", encryptionContext: {} };
  expect(await decryptor.decrypt(request, {})).toBe(plaintext);
  await expect(decryptor.decrypt(request, {})).rejects.toBe(failure);
  expect(reports).toEqual([
    ["Decrypt", "ok", true],
    ["Decrypt", "KMSThrottled", true],
  ]);
});
