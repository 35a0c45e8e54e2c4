// Brings up the real servers, for the tests' global setup, for single test files that break things, and for the demo:
// etcd and kube-apiserver, OpenBao with TLS, our KMS emulator; moto has moto.ts. All in parallel.
import { join } from "node:path";
import { type Kms, type KmsInfo, startKms } from "./kms.ts";
import { type Kubernetes, type KubernetesInfo, startKubernetes } from "./kubernetes.ts";
import { startVault, type Vault, type VaultInfo, type VaultOptions } from "./openbao.ts";
import { ProcessGroup } from "./processes.ts";
import { enableLogins } from "./vault-auth.ts";

/** Paths of the programs (tools/toolchain/resolve.ts finds them). */
export interface Programs {
  readonly etcd: string;
  readonly "kube-apiserver": string;
  readonly bao: string;
  /** For people and for tests of what `kubectl` says; the stack itself does without. */
  readonly kubectl?: string;
}

export interface StackOptions {
  readonly programs: Programs;
  readonly vault?: VaultOptions;
  /** Told what is up, with the milliseconds since the start. */
  readonly onReady?: (what: string, ms: number) => void;
}

/** What a test or a person needs to reach the servers. Plain data: it crosses to the test workers. */
export interface StackInfo {
  /** Holds the data and the logs of the servers; removed with the stack. */
  readonly directory: string;
  readonly programs: Programs;
  readonly kubernetes: KubernetesInfo;
  readonly vault: VaultInfo;
  readonly kms: KmsInfo;
}

/** The running servers. */
export interface Stack {
  readonly info: StackInfo;
  readonly kubernetes: Kubernetes;
  readonly vault: Vault;
  readonly kms: Kms;
  /** Ends every server and removes the data. */
  stop(): Promise<void>;
}

/**
 * Starts the stack and resolves when every server answers and Vault's userpass and kubernetes logins are enabled.
 * Whatever becomes of this process, no server outlives it.
 * @throws Error that names the server and holds the last lines of its log
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const group = await ProcessGroup.create();
  const kms = await startKms(join(group.directory, "kms.json"));
  const stop = async () => {
    await Promise.all([kms.stop(), group.stop()]);
  };
  try {
    return { ...(await startServers(group, kms, options)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startServers(group: ProcessGroup, kms: Kms, options: StackOptions): Promise<Omit<Stack, "stop">> {
  const { programs, onReady } = options;
  const start = performance.now();
  const announce = async <T>(what: string, starting: Promise<T>): Promise<T> => {
    const started = await starting;
    onReady?.(what, performance.now() - start);
    return started;
  };
  const [kubernetes, vault] = await Promise.all([
    announce("Kubernetes API server", startKubernetes(group, programs)),
    announce("OpenBao", startVault(group, programs.bao, options.vault)),
  ]);
  await enableLogins(vault.info, kubernetes.info);
  return {
    info: {
      directory: group.directory,
      programs,
      kubernetes: kubernetes.info,
      vault: vault.info,
      kms: kms.info,
    },
    kubernetes,
    vault,
    kms,
  };
}
