// What Vault was asked, from its own audit log: how tests prove "one read per object and resync" and "no write".
// The log holds a line for a request before the client gets its answer; values in it are hashed by Vault.
import { readFile, stat } from "node:fs/promises";
import type { VaultInfo } from "./openbao.ts";

/** One request, as far as tests look at it. */
export interface AuditedRequest {
  /** `create`, `read`, `update`, `patch`, `delete`, `list` */
  readonly operation: string;
  /** API path without `v1/`, as Vault resolved it. */
  readonly path: string;
  readonly namespace: string;
  /** RFC 3339. */
  readonly time: string;
  /** Names of the policies of the token. */
  readonly policies: readonly string[];
}

/** Which requests to look at. */
export interface AuditFilter {
  /** What the path begins with (`mount/`), or a pattern. */
  readonly path: string | RegExp;
  /** One operation or several; absent: all. */
  readonly operation?: string | readonly string[];
  /** Only requests after this mark. */
  readonly since?: AuditMark;
}

/** A place in the log. */
export interface AuditMark {
  readonly offset: number;
}

/** The end of the log as it is now. */
export async function auditMark(vault: VaultInfo): Promise<AuditMark> {
  return { offset: (await stat(vault.auditLog)).size };
}

/** The requests that fit, oldest first. */
export async function auditRequests(vault: VaultInfo, filter: AuditFilter): Promise<AuditedRequest[]> {
  const log = (await readFile(vault.auditLog)).subarray(filter.since?.offset ?? 0).toString("utf8");
  const operations = filter.operation === undefined ? undefined : [filter.operation].flat();
  // The last piece is empty, or a line that is being written.
  return log
    .split("\n")
    .slice(0, -1)
    .map(parseRequest)
    .filter((request) => request !== undefined)
    .filter(({ path }) => (typeof filter.path === "string" ? path.startsWith(filter.path) : filter.path.test(path)))
    .filter(({ operation }) => operations?.includes(operation) ?? true);
}

/** How many requests fit. */
export async function auditCount(vault: VaultInfo, filter: AuditFilter): Promise<number> {
  return (await auditRequests(vault, filter)).length;
}

function parseRequest(line: string): AuditedRequest | undefined {
  const { type, time, auth, request } = JSON.parse(line);
  if (type !== "request") return undefined;
  return {
    operation: request.operation,
    path: request.path,
    namespace: request.namespace?.path ?? "",
    time,
    policies: auth?.policies ?? [],
  };
}
