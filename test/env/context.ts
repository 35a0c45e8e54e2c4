// What a test file begins with: the shared stack and clients for it, a namespace and a mount of its own. Files that
// stop, seal or slow a server take one of their own (private.ts), because files run at the same time.
import { inject } from "vitest";
import { KmsTestClient } from "./kms-client.ts";
import { KubeClient } from "./kube-client.ts";
import type { StackInfo } from "./stack.ts";
import { mountKv, uniqueName } from "./unique.ts";
import { VaultClient } from "./vault-client.ts";

/** The shared stack, with clients. */
export interface TestEnv {
  readonly stack: StackInfo;
  /** As system:masters. */
  readonly kube: KubeClient;
  /** As root. */
  readonly vault: VaultClient;
  readonly kms: KmsTestClient;
  /** Creates a namespace that nothing else uses. @returns its name */
  freshNamespace(): Promise<string>;
  /** Mounts a KV engine that nothing else uses. @returns the mount, without a slash at its end */
  freshMount(engineVersion: "v1" | "v2"): Promise<string>;
}

/** The test environment; ask for it once per file. */
export function testEnv(): TestEnv {
  const stack = inject("stack");
  const kube = new KubeClient(stack.kubernetes);
  const vault = new VaultClient(stack.vault);
  return {
    stack,
    kube,
    vault,
    kms: new KmsTestClient(stack.kms),
    async freshNamespace() {
      const name = uniqueName("ns");
      await kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
      return name;
    },
    freshMount: (engineVersion) => mountKv(vault, engineVersion),
  };
}
