// The import rules of docs/concepts/architecture as a table: which folder may import which, and which module, global or
// clock belongs to which file. scan.ts finds what a file uses, check.ts compares.

/** What a folder of src may import from other folders. `types`: by `import type` only. */
export interface FolderRule {
  readonly values: readonly string[];
  readonly types?: readonly string[];
}

/** Everything in src that is composed, not composing. */
const parts = ["base", "api", "kms", "vault", "runtime", "telemetry", "policy", "sync", "controller", "webhook"];

/**
 * Folder → what it may import besides itself. A file directly in src counts as a folder of its name, those not named
 * here as `root`.
 */
export const folderRules: Readonly<Record<string, FolderRule>> = {
  base: { values: [] },
  api: { values: ["base"] },
  kms: { values: ["base"] },
  vault: { values: ["base"] },
  runtime: { values: ["base"] },
  telemetry: { values: ["base"] },
  policy: { values: ["base", "api"] },
  sync: { values: ["base", "api", "policy"], types: ["kms", "vault"] },
  controller: { values: ["base", "api", "policy", "sync", "runtime"] },
  webhook: { values: ["base", "api", "policy", "sync"], types: ["kms"] },
  cli: { values: [...parts, "operator.ts", "webhook.ts", "root"] },
  "operator.ts": { values: [...parts, "root", "operator-doors.ts"] },
  "operator-doors.ts": { values: [...parts, "root"] },
  "webhook.ts": { values: [...parts, "root", "webhook-kube.ts"] },
  "webhook-kube.ts": { values: ["base", "runtime", "webhook"] },
  root: { values: ["base", "api", "kms", "vault", "runtime", "telemetry"] },
};

/** A module, global or property that only some files may use. Paths are relative to src; one that ends in / is a folder. */
export interface Reserved {
  readonly what: string;
  /** Matches module specifiers (`undici`, `node:net`) or uses (`process.env`, `Date.now`). */
  readonly pattern: RegExp;
  /** Where the rule holds; absent: everywhere in src. */
  readonly within?: string;
  readonly allowed: readonly string[];
  /** Counts for type imports as well; otherwise types are free. */
  readonly alsoTypes?: boolean;
}

const network = /^(undici|ws|node:(net|tls|http|https|http2|dgram|dns)|(net|tls|http|https|http2|dgram|dns)|fetch)$/;

/** Who owns what. */
export const reserved: readonly Reserved[] = [
  { what: "the environment", pattern: /^(process\.env|node:process|process)$/, allowed: ["config.ts", "cli/main.ts"] },
  { what: "the network", pattern: network, within: "base/", allowed: [] },
  { what: "the network", pattern: network, within: "api/", allowed: [] },
  { what: "the network", pattern: network, within: "policy/", allowed: [] },
  { what: "the network", pattern: network, within: "sync/", allowed: [] },
  { what: "the network", pattern: network, within: "controller/", allowed: [] },
  // connection.ts and tls-files.ts check and make TLS identities of files with node:tls; they open no connection.
  {
    what: "the network",
    pattern: network,
    within: "runtime/",
    allowed: ["runtime/client.ts", "runtime/connection.ts"],
  },
  { what: "the network", pattern: network, within: "vault/", allowed: ["vault/connections.ts", "vault/tls-files.ts"] },
  // aws-clients.ts hands AWS's SDK the agents that it is to use.
  { what: "the network", pattern: network, within: "kms/", allowed: ["kms/emulator/", "kms/aws-clients.ts"] },
  // The rest of it answers questions and makes certificates; it opens no connection. certificate-names.ts asks
  // node:net what an address is.
  {
    what: "the network",
    pattern: network,
    within: "webhook/",
    allowed: ["webhook/server.ts", "webhook/certificate-names.ts"],
  },
  {
    what: "the AWS SDK",
    pattern: /^@(aws-sdk|smithy)\//,
    allowed: [
      "kms/aws.ts",
      "kms/aws-clients.ts",
      "kms/credentials.ts",
      "vault/auth/iam.ts",
      "vault/auth/iam-signature.ts",
    ],
    alsoTypes: true,
  },
  {
    what: "the AWS Encryption SDK",
    pattern: /^@aws-crypto\//,
    allowed: ["kms/encryption-sdk.ts"],
    alsoTypes: true,
  },
  // Imported lazily by both.
  { what: "age", pattern: /^age-encryption$/, allowed: ["kms/age.ts", "kms/age-key-file.ts"] },
  { what: "the Kubernetes client library", pattern: /^@kubernetes\//, allowed: ["cli/kube-connection.ts"] },
  {
    what: "the clock",
    pattern:
      /^(Date\.now|new Date|performance\.now|setTimeout|setInterval|AbortSignal\.timeout|node:timers(\/promises)?)$/,
    allowed: ["base/clock.ts"],
  },
  // debug.ts asks it how late the event loop is.
  { what: "the clock", pattern: /^node:perf_hooks$/, allowed: ["base/clock.ts", "telemetry/debug.ts"] },
];
