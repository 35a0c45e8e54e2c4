// Builders of the two kinds for tests: gen.secret("name", {spec…}) says only what the test is about.
import type {
  KMSVaultSecret,
  KMSVaultSecretSpec,
  Meta,
  PartialKMSVaultSecret,
  PartialKMSVaultSecretSpec,
  Status,
} from "../../src/api/kinds.ts";

function meta(name: string, changes: Partial<Meta> = {}): Meta {
  return {
    name,
    namespace: "default",
    uid: `uid-of-${name}`,
    generation: 1,
    creationTimestamp: "2026-01-01T00:00:00Z",
    ...changes,
  };
}

/** A KMSVaultSecret as the API server would return it. */
export function secret(
  name: string,
  spec: Partial<KMSVaultSecretSpec> = {},
  more: { metadata?: Partial<Meta>; status?: Status } = {},
): KMSVaultSecret {
  return {
    metadata: meta(name, more.metadata),
    spec: { path: `secret/data/${name}`, secrets: [{ key: "a", encryptedSecret: "YQ==" }], ...spec },
    ...(more.status && { status: more.status }),
  };
}

/** A PartialKMSVaultSecret as the API server would return it. */
export function partial(name: string, spec: Partial<PartialKMSVaultSecretSpec> = {}): PartialKMSVaultSecret {
  return { metadata: meta(name), spec: { secrets: [], ...spec } };
}
