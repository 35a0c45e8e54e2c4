// What the operator and the servers count, at one moment: the operator's own figures for what it noticed and tried, the
// servers' for what they were asked.
import { type AuditMark, auditMark, auditRequests } from "../env/audit.ts";
import type { ChaosWorld } from "./world.ts";

/** The operator's counters. */
export interface Figures {
  readonly reconciles: number;
  /** Failures of any kind. */
  readonly failures: number;
  readonly informerFailures: number;
  /** Lists and watches that failed because what they asked for was too old. */
  readonly expired: number;
  /** Answers 401 of the API server. */
  readonly unauthorized: number;
  readonly vaultRequests: number;
  readonly kmsRequests: number;
  readonly kubeRequests: number;
  readonly kubeWrites: number;
  readonly residentBytes: number;
}

/** Reads the operator's metrics once. */
export async function figuresOf({ operator }: Pick<ChaosWorld, "operator">): Promise<Figures> {
  const samples = parse(await operator.metrics());
  const sum = (name: string, fits: (labels: string) => boolean = () => true) =>
    samples.filter((one) => one.name === name && fits(one.labels)).reduce((total, { value }) => total + value, 0);
  const isError = (labels: string) => labels.includes('code="<error>"');
  const informerFailures = sum("informer_failures_total");
  return {
    reconciles: sum("controller_runtime_reconcile_total"),
    failures:
      informerFailures +
      sum("controller_runtime_reconcile_errors_total") +
      sum("kms_vault_operator_vault_requests_total", isError) +
      sum("rest_client_requests_total", isError) +
      sum("kms_vault_operator_kms_requests_total", (labels) => !labels.includes('outcome="ok"')),
    informerFailures,
    expired: sum("informer_failures_total", (labels) => /reason="(Expired|Gone)"/.test(labels)),
    unauthorized: sum("rest_client_requests_total", (labels) => labels.includes('code="401"')),
    vaultRequests: sum("kms_vault_operator_vault_requests_total"),
    kmsRequests: sum("kms_vault_operator_kms_requests_total"),
    kubeRequests: sum("rest_client_requests_total"),
    kubeWrites: sum("rest_client_requests_total", (labels) => !labels.includes('method="GET"')),
    residentBytes: sum("process_resident_memory_bytes"),
  };
}

/** The operator's figures, with the servers' own of the same moment. */
export interface Moment extends Figures {
  /** Paths that Vault was asked for since the mark, with the operation before them. */
  readonly asked: readonly string[];
  /** As KMS counts them. */
  readonly decryptions: number;
  /** Of every object, in order. */
  readonly resourceVersions: readonly string[];
}

/** @param since where to begin to count what Vault was asked */
export async function momentOf(world: ChaosWorld, since: AuditMark): Promise<Moment> {
  const [figures, asked, decryptions, resourceVersions] = await Promise.all([
    figuresOf(world),
    askedOfVault(world, since),
    world.kms.calls().then(({ operations }) => operations["Decrypt"] ?? 0),
    world.population.resourceVersions(),
  ]);
  return { ...figures, asked, decryptions, resourceVersions };
}

/** The end of Vault's audit log. */
export function markOf(world: ChaosWorld): Promise<AuditMark> {
  return auditMark(world.stack.info.vault);
}

/** What Vault was asked about the objects' mounts, by anyone. */
async function askedOfVault(world: ChaosWorld, since: AuditMark): Promise<string[]> {
  const { v1, v2 } = world.population.mounts;
  const path = new RegExp(`^(${v1}|${v2})/|ui/mounts/(${v1}|${v2})|^auth/`);
  const requests = await auditRequests(world.stack.info.vault, { path, since });
  return requests.map((request) => `${request.operation} ${request.path}`);
}

interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

function parse(exposition: string): Sample[] {
  return exposition.split("\n").flatMap((line) => {
    const found = /^([a-z_]+)(\{.*\})? (\S+)$/.exec(line);
    return found === null ? [] : [{ name: found[1] ?? "", labels: found[2] ?? "", value: Number(found[3]) }];
  });
}
