// The two kinds, once: these zod schemas give the TypeScript types, the validation and (crd.ts) the CRDs.
// Field meanings and what an existing installation relies on: docs/reference/api.md.
import { z } from "zod";

export const group = "k8s.patoarvizu.dev";
export const version = "v1alpha1";
export const apiVersion = `${group}/${version}`;

/** The finalizer of the contract: put there by the user, it makes the deletion of the object delete the Vault data. */
export const deleteFinalizer = "delete.k8s.patoarvizu.dev";

/** The finalizer of `deletionPolicy: SoftDelete`. */
export const softDeleteFinalizer = "softdelete.k8s.patoarvizu.dev";

/** How an object can log in to Vault. */
export const vaultAuthMethods = [
  "k8s",
  "token",
  "userpass",
  "approle",
  "github",
  "iam",
  "jwt",
  "cert",
  "ldap",
] as const;

/** Changing this annotation's value makes the operator look at the object now. */
export const reconcileAnnotation = "k8s.patoarvizu.dev/reconcile-requested-at";
/** `"true"`: take over data that was found at the path and is not ours. */
export const adoptAnnotation = "k8s.patoarvizu.dev/adopt";
/** Which of the finalizers the operator put on the object itself, separated by commas; written by the operator. */
export const addedFinalizersAnnotation = "k8s.patoarvizu.dev/added-finalizers";
/** `"orphan"`: let a deleted object go without touching Vault. */
export const deletionAnnotation = "k8s.patoarvizu.dev/deletion";

/** A Go duration that is not negative, such as `30s`, `1h30m` or `0`. */
const duration = z
  .string()
  .regex(/^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h))+)$/, { error: "must be a duration such as 30s or 1h30m, or 0" });

/** An ARN of an IAM role, in whatever partition. */
const roleArn = /^arn:aws[a-z-]*:iam::[0-9]{12}:role\/[A-Za-z0-9_+=,.@/-]+$/;

const encryptionContext = z.record(z.string(), z.string());

export const entrySchema = z.object({
  key: z.string().min(1).describe("Key in the Vault secret."),
  encryptedSecret: z
    .string()
    .optional()
    .describe(
      "The encrypted value. AWS: standard base64 of the KMS ciphertext blob, or of a message of the AWS Encryption SDK; age: base64 of the file, or its armour; Vault transit: vault:v1:…. Ignored when emptySecret is true.",
    ),
  secretContext: encryptionContext
    .optional()
    .describe("KMS encryption context of this entry. When not empty it replaces the spec's secretContext."),
  emptySecret: z.boolean().optional().describe("Write the empty string; encryptedSecret is ignored."),
  encoding: z
    .enum(["utf8", "base64"])
    .optional()
    .describe("How the decrypted bytes stand in Vault: as text (utf8, the default) or as standard base64."),
});

const secrets = z.array(entrySchema).describe("The entries: one key each.");

export const kmsVaultSecretSpecSchema = z.object({
  path: z
    .string()
    .min(1)
    .describe(
      "API path of the secret in Vault: mount/path on KV v1, mount/data/path on KV v2 (data/ may be left out).",
    ),
  vaultAuthMethod: z
    .enum(vaultAuthMethods)
    .optional()
    .describe(
      "How to log in to Vault for this object. Absent: the operator's --vault-authentication-method; with serviceAccountRef k8s, or jwt where that is the operator's.",
    ),
  kvSettings: z
    .object({
      engineVersion: z
        .enum(["v1", "v2"])
        .optional()
        .describe("Version of the KV engine behind path; asked of Vault when absent, checked when present."),
      casIndex: z
        .int()
        .min(0)
        .optional()
        .describe(
          "KV v2 only, and refused with writeMode: Merge: the version to replace. Absent: the operator manages check-and-set itself.",
        ),
    })
    .optional()
    .describe("What KV engine is behind path, and check-and-set by hand."),
  secrets: secrets.optional(),
  secretContext: encryptionContext
    .optional()
    .describe("Default KMS encryption context of the entries that have none of their own."),
  includeSecrets: z
    .array(z.string().min(1))
    .optional()
    .describe("Names of PartialKMSVaultSecrets in the same namespace whose entries are added; later ones win."),
  bindContext: z
    .enum(["None", "Namespace", "Object", "Key"])
    .optional()
    .describe(
      "What the values are bound to: their encryption context must also hold k8s.patoarvizu.dev/namespace (Namespace), .../name of this object as well (Object), and .../key of the entry as well (Key), so that a value copied elsewhere does not decrypt. None (default): to nothing.",
    ),
  provider: z
    .enum(["AWS", "Age", "VaultTransit"])
    .optional()
    .describe("Where the values' keys are: AWS KMS, an age key file, Vault's transit engine. Absent: each value says."),
  kmsKeyId: z
    .string()
    .min(1)
    .optional()
    .describe(
      "The only key that may decrypt the values: of AWS KMS a key ARN (its region is asked), key id or alias; of age a recipient; of Vault transit mount/key, needed there unless the operator has a default.",
    ),
  kmsRoleArn: z
    .string()
    .regex(roleArn, { error: "must be the ARN of an IAM role" })
    .optional()
    .describe("AWS role to ask KMS as; the operator's policy must allow it."),
  onDecryptError: z
    .enum(["Keep", "Skip", "Fail"])
    .optional()
    .describe(
      "When an entry cannot be decrypted: Keep (default) writes the others and leaves the key as it is in Vault, Skip writes the others without it, which removes the key from Vault, Fail writes nothing.",
    ),
  deletionPolicy: z
    .enum(["Retain", "SoftDelete", "Destroy"])
    .optional()
    .describe(
      "What becomes of the data in Vault when this object is deleted or its path changes: Retain leaves it, SoftDelete deletes the latest version so that it can be undeleted (KV v2), Destroy removes all versions and the metadata. Absent: on deletion Destroy if the user put the finalizer delete.k8s.patoarvizu.dev on it, SoftDelete if softdelete.k8s.patoarvizu.dev, else Retain.",
    ),
  writeMode: z
    .enum(["Replace", "Merge"])
    .optional()
    .describe(
      "Replace (default): the secret in Vault is exactly these entries. Merge: only the keys of these entries are managed, others beside them are left alone; not with casIndex.",
    ),
  suspend: z
    .boolean()
    .optional()
    .describe("True: nothing is written or repaired; the path stays held, and deletion goes on."),
  syncPeriod: duration
    .optional()
    .describe(
      "How often this object is compared with Vault, as a duration such as 30s or 1h, at least 1s; 0: only when it changes. The operator's --sync-period-seconds when absent.",
    ),
  vaultNamespace: z
    .string()
    .optional()
    .describe(
      "Vault namespace instead of the operator's VAULT_NAMESPACE; the operator's policy or --allow-vault-namespaces must allow it. The login is made there too, so method, role and policy must exist in it.",
    ),
  serviceAccountRef: z
    .object({ name: z.string().min(1).describe("Name of the service account.") })
    .optional()
    .describe(
      'Log in to Vault (k8s or jwt) as this service account of the same namespace, which must be annotated k8s.patoarvizu.dev/vault-login: "true", unless the policy of the operator allows it.',
    ),
  vaultRole: z
    .string()
    .optional()
    .describe(
      "Vault role to log in to as that service account; needs serviceAccountRef. Absent: VAULT_K8S_ROLE, with jwt VAULT_JWT_ROLE.",
    ),
  kvMetadata: z
    .object({
      maxVersions: z.int().min(0).optional().describe("Versions that Vault keeps; 0: as the mount says."),
      deleteVersionAfter: duration
        .optional()
        .describe("Age at which Vault deletes a version, as a duration such as 720h; 0: as the mount says."),
    })
    .optional()
    .describe(
      "KV v2 only: settings of this secret; written when they differ, left alone when absent. maxVersions: versions that Vault keeps; deleteVersionAfter: age at which it deletes one, such as 720h; 0: as the mount says.",
    ),
});

export const partialKMSVaultSecretSpecSchema = z.object({
  secrets,
  secretContext: encryptionContext
    .optional()
    .describe("Default KMS encryption context of these entries; the including object's when absent."),
});

const condition = z.object({
  type: z.string(),
  status: z.enum(["True", "False", "Unknown"]),
  reason: z.string(),
  message: z.string(),
  lastTransitionTime: z.string().meta({ format: "date-time" }),
  observedGeneration: z.int().min(0).optional(),
});

const place = z.object({
  namespace: z.string().describe("Vault namespace."),
  mount: z.string(),
  path: z.string(),
  engineVersion: z.enum(["v1", "v2"]),
  version: z.int().min(0).optional(),
  versionCreatedTime: z.string().optional(),
  fingerprint: z.string().optional().describe("Keyed hash of what was written."),
  keys: z.array(z.string()).optional().describe("With writeMode: Merge, the keys that are the object's."),
  adopted: z.array(z.string()).optional().describe("Those of them that were there before, with the same value."),
});

/** What the operator later acts on, authenticated by `mac` (sync/record.ts). Without a right MAC it counts for nothing. */
const record = place
  .extend({
    format: z.string(),
    digest: z.string().optional().describe("Of the source: entries, contexts, destination. Holds no value."),
    former: z
      .array(place)
      .optional()
      .describe("Where the object was written to before its path changed, as far as it is still to be removed there."),
    mac: z.string(),
  })
  .describe(
    "The operator's own note of what it wrote, authenticated with its key: an edited record counts for nothing.",
  );

export const statusSchema = z.object({
  created: z.boolean().optional().describe("True after the first successful write."),
  observedGeneration: z.int().min(0).optional().describe("Generation of the object that the status speaks of."),
  conditions: z.array(condition).optional().describe("Ready, Reconciling, DeletionBlocked; see below."),
  vault: z
    .object({
      namespace: z.string().optional(),
      mount: z.string(),
      path: z.string(),
      engineVersion: z.enum(["v1", "v2"]),
      version: z.int().min(0).optional(),
    })
    .optional()
    .describe("Where the secret is in Vault."),
  keys: z
    .object({ synced: z.int().min(0), failed: z.array(z.string()).optional() })
    .optional()
    .describe("How many keys stand in Vault as the object says, and the names of those that could not be decrypted."),
  lastSyncTime: z.string().meta({ format: "date-time" }).optional().describe("Time of the last write to Vault."),
  includes: z.array(z.string()).optional().describe("Names of the Partials whose entries were included."),
  record: record.optional(),
});

export const partialStatusSchema = z.object({ created: z.boolean().optional() });

export type Entry = z.infer<typeof entrySchema>;
export type KMSVaultSecretSpec = z.infer<typeof kmsVaultSecretSpecSchema>;
export type PartialKMSVaultSecretSpec = z.infer<typeof partialKMSVaultSecretSpecSchema>;
export type Status = z.infer<typeof statusSchema>;
export type Condition = z.infer<typeof condition>;
export type SyncRecord = z.infer<typeof record>;
/** One location in a record. */
export type RecordedPlace = z.infer<typeof place>;
export type DeletionPolicy = NonNullable<KMSVaultSecretSpec["deletionPolicy"]>;

/** Object metadata as far as the product looks at it. */
export interface Meta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly generation: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly finalizers?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface KMSVaultSecret {
  readonly metadata: Meta;
  readonly spec: KMSVaultSecretSpec;
  readonly status?: Status;
}

export interface PartialKMSVaultSecret {
  readonly metadata: Meta;
  readonly spec: PartialKMSVaultSecretSpec;
}
