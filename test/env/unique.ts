// Names and mounts that nothing else uses, so that files which share servers do not meet.
import { randomBytes } from "node:crypto";
import type { VaultClient } from "./vault-client.ts";

/** Mounts a KV engine at a path that nothing else uses, for the shared Vault and private ones alike. */
export async function mountKv(vault: VaultClient, engineVersion: "v1" | "v2"): Promise<string> {
  const mount = uniqueName(`kv-${engineVersion}`);
  await vault.write(`sys/mounts/${mount}`, { type: "kv", options: { version: engineVersion.slice(1) } });
  return mount;
}

/** A name that no other test has, valid for Kubernetes and Vault. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(5).toString("hex")}`;
}
