// Which service a value goes to.
import { describe, expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { Plaintext } from "../base/plaintext.ts";
import { ageService } from "./age.ts";
import { awsService } from "./aws-values.ts";
import type { Provider } from "./cipher.ts";
import { byProvider, isListed, type KeyService } from "./providers.ts";
import { transitService } from "./transit.ts";

const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** The services, as far as they know their values; each tells that it was asked. */
const services: Record<Provider, KeyService> = {
  AWS: told(awsService({ kms: { decrypt: async () => new Plaintext(Buffer.of()) } })),
  Age: told(ageService({ logger })),
  VaultTransit: told(transitService({ maxInFlight: 1, clock: systemClock })),
};

function told(service: KeyService): KeyService {
  return { ...service, decrypt: async () => new Plaintext(Buffer.from(service.provider)) };
}

async function askedFor(encryptedSecret: string, provider?: Provider): Promise<string> {
  const request = { encryptedSecret, encryptionContext: {} };
  const plaintext = await byProvider(services).decrypt(request, provider === undefined ? {} : { provider });
  return Buffer.from(plaintext.open()).toString();
}

const base64OfAge = Buffer.from("age-encryption.org/v1\n-> X25519 x\n").toString("base64");

const values: readonly { readonly value: string; readonly provider: Provider }[] = [
  { value: "AQICAHg=", provider: "AWS" },
  { value: "", provider: "AWS" },
  { value: "no base64!", provider: "AWS" },
  { value: Buffer.from("age-encryption").toString("base64"), provider: "AWS" },
  { value: base64OfAge, provider: "Age" },
  { value: "-----BEGIN AGE ENCRYPTED FILE-----YWdl-----END AGE ENCRYPTED FILE-----", provider: "Age" },
  { value: "vault:v1:AAAA", provider: "VaultTransit" },
  { value: "vault:", provider: "VaultTransit" },
];

test.each(values)("$value is for $provider", async ({ value, provider }) => {
  expect(await askedFor(value)).toBe(provider);
  expect(await askedFor(value, provider)).toBe(provider);
});

describe("an object that names its provider", () => {
  test.each(["Age", "VaultTransit"] as const)("has values without a prefix go to %s", async (provider) => {
    expect(await askedFor("AQICAHg=", provider)).toBe(provider);
  });

  test.each([
    { value: base64OfAge, provider: "AWS" },
    { value: base64OfAge, provider: "VaultTransit" },
    { value: "vault:v1:AAAA", provider: "AWS" },
    { value: "vault:v1:AAAA", provider: "Age" },
  ] as const)("has no value that says otherwise: $value for $provider", async ({ value, provider }) => {
    await expect(askedFor(value, provider)).rejects.toMatchObject({
      code: "DecodingError",
      message: expect.stringContaining(`spec.provider says ${provider}`),
    });
  });
});

test.each([
  { keys: undefined, allowed: true },
  { keys: [], allowed: false },
  { keys: ["*"], allowed: true },
  { keys: ["transit/a"], allowed: true },
  { keys: ["transit/*", "transit", "transit/ab", "a"], allowed: false },
])("a list $keys lets transit/a be used: $allowed", ({ keys, allowed }) => {
  expect(isListed(keys, "transit/a")).toBe(allowed);
});
