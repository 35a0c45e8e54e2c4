// The demo's objects: what a newcomer would put into git, and what shall stand in Vault because of it.

/** Encrypts a text with the demo's key, under an encryption context; returns base64. */
export type Encrypt = (value: string, context?: Readonly<Record<string, string>>) => Promise<string>;

/** A secret in Vault as it should be. */
export interface Expected {
  /** Name of the KMSVaultSecret. */
  readonly name: string;
  /** As `bao kv get` wants it. */
  readonly path: string;
  /** As Vault's API wants it. */
  readonly apiPath: string;
  readonly engineVersion: "v1" | "v2";
  readonly data: Readonly<Record<string, string>>;
  /** What it shows. */
  readonly shows: string;
}

export const namespace = "shop";

export const expected: readonly Expected[] = [
  {
    name: "database",
    path: "secret/shop/database",
    apiPath: "secret/data/shop/database",
    engineVersion: "v2",
    data: { username: "shop", password: "correct-horse-battery-staple" },
    shows: "KV v2, an encryption context of two pairs",
  },
  {
    name: "mailer",
    path: "legacy/shop/mailer",
    apiPath: "legacy/shop/mailer",
    engineVersion: "v1",
    data: { "smtp-password": "letters-by-pigeon" },
    shows: "KV v1",
  },
  {
    name: "frontend",
    path: "secret/shop/frontend",
    apiPath: "secret/data/shop/frontend",
    engineVersion: "v2",
    data: { "session-key": "only-the-frontend-has-this", "tracking-id": "shared-by-many" },
    shows: "an include: one key is its own, one comes from the Partial shared",
  },
  {
    name: "feature-flags",
    path: "secret/shop/feature-flags",
    apiPath: "secret/data/shop/feature-flags",
    engineVersion: "v2",
    data: { "beta-token": "" },
    shows: "an empty secret, for which KMS is not asked",
  },
];

/** The manifests of all of them. */
export async function manifests(encrypt: Encrypt): Promise<string> {
  const context = { app: "shop", env: "demo" };
  const [username, password, smtp, session, tracking] = await Promise.all([
    encrypt("shop", context),
    encrypt("correct-horse-battery-staple", context),
    encrypt("letters-by-pigeon"),
    encrypt("only-the-frontend-has-this"),
    encrypt("shared-by-many"),
  ]);
  return `apiVersion: k8s.patoarvizu.dev/v1alpha1
kind: KMSVaultSecret
metadata:
  name: database
  namespace: ${namespace}
  finalizers: [delete.k8s.patoarvizu.dev]
spec:
  path: secret/data/shop/database
  secretContext: { app: shop, env: demo }
  secrets:
    - key: username
      encryptedSecret: ${username}
    - key: password
      encryptedSecret: ${password}
---
apiVersion: k8s.patoarvizu.dev/v1alpha1
kind: KMSVaultSecret
metadata:
  name: mailer
  namespace: ${namespace}
  finalizers: [delete.k8s.patoarvizu.dev]
spec:
  path: legacy/shop/mailer
  kvSettings: { engineVersion: v1 }
  secrets:
    - key: smtp-password
      encryptedSecret: ${smtp}
---
apiVersion: k8s.patoarvizu.dev/v1alpha1
kind: PartialKMSVaultSecret
metadata:
  name: shared
  namespace: ${namespace}
spec:
  secrets:
    - key: tracking-id
      encryptedSecret: ${tracking}
---
apiVersion: k8s.patoarvizu.dev/v1alpha1
kind: KMSVaultSecret
metadata:
  name: frontend
  namespace: ${namespace}
spec:
  path: secret/data/shop/frontend
  includeSecrets: [shared]
  secrets:
    - key: session-key
      encryptedSecret: ${session}
---
apiVersion: k8s.patoarvizu.dev/v1alpha1
kind: KMSVaultSecret
metadata:
  name: feature-flags
  namespace: ${namespace}
spec:
  path: secret/data/shop/feature-flags
  secrets:
    - key: beta-token
      emptySecret: true
`;
}

/** One object more, whose whole life the demo shows: written, repaired, changed, removed. */
export const life = {
  name: "short-lived",
  path: "secret/shop/short-lived",
  apiPath: "secret/data/shop/short-lived",
  metadataPath: "secret/metadata/shop/short-lived",
} as const;

/** @param ciphertext of the value, base64 */
export function lifeManifest(ciphertext: string): string {
  return `apiVersion: k8s.patoarvizu.dev/v1alpha1
kind: KMSVaultSecret
metadata:
  name: ${life.name}
  namespace: ${namespace}
  finalizers: [delete.k8s.patoarvizu.dev]
spec:
  path: ${life.apiPath}
  secrets:
    - key: value
      encryptedSecret: ${ciphertext}
`;
}
