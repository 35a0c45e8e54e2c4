// One client of AWS KMS per region and role, with the budget of their account. Which regions and roles there are, objects
// say; so the clients are bounded in number, and those not used for a while are closed.
import { KMSClient } from "@aws-sdk/client-kms";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { Aliases } from "./aws-aliases.ts";
import { Budget, type BudgetOptions } from "./budget.ts";
import { accountOf, RoleTaker } from "./credentials.ts";

/** Clients that nobody uses at the moment are closed beyond this number, and after this time. */
const mostClients = 32;
const idleMs = 600_000;

export interface AwsClientsOptions extends BudgetOptions {
  /** Absent: AWS_REGION, then the shared config file. */
  readonly region?: string;
  /** For all regions. Absent: as AWS's SDK finds it. */
  readonly endpoint?: string;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

/** KMS of one region, as one role. */
export interface AwsClient {
  readonly kms: KMSClient;
  readonly region: string;
  readonly budget: Budget;
  readonly aliases: Aliases;
  /** Calls that use it. */
  calls: number;
  /** Closes the connections that are idle: they may be dead, which nothing shows until one is used. */
  dropIdle(): void;
  close(): void;
}

/** A budget's limit, for metrics. */
export interface LearntLimit {
  readonly region: string;
  /** "" for the account of the operator's own AWS identity. */
  readonly account: string;
  readonly perSecond: number;
}

interface Entry {
  readonly client: AwsClient;
  readonly account: string;
  usedAt: number;
}

export class AwsClients {
  readonly #options: AwsClientsOptions;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #found: Promise<string> | undefined;

  constructor(options: AwsClientsOptions) {
    this.#options = options;
  }

  /**
   * The operator's own.
   * @throws what AWS's SDK throws when none is configured
   */
  async ownRegion(): Promise<string> {
    const { region } = this.#options;
    if (region !== undefined) return region;
    this.#found ??= new KMSClient({}).config.region();
    return await this.#found;
  }

  /**
   * The client for a region (absent: the operator's own) and a role (absent: the operator's own identity).
   * @throws what AWS's SDK throws when no region is configured
   */
  async of(region: string | undefined, roleArn: string | undefined): Promise<AwsClient> {
    const where = region ?? (await this.ownRegion());
    const key = `${where} ${roleArn ?? ""}`;
    const known = this.#entries.get(key);
    if (known !== undefined) this.#entries.delete(key);
    const entry = known ?? this.#open(where, roleArn);
    entry.usedAt = this.#options.clock.monotonic();
    this.#entries.set(key, entry);
    return entry.client;
  }

  /** What KMS's throttling has taught us. */
  learntLimits(): LearntLimit[] {
    const limits = new Map<Budget, LearntLimit>();
    for (const { client, account } of this.#entries.values()) {
      const perSecond = client.budget.learntLimit;
      if (perSecond !== undefined) limits.set(client.budget, { region: client.region, account, perSecond });
    }
    return [...limits.values()];
  }

  /** Closes every connection; calls under way fail. */
  close(): void {
    for (const { client } of this.#entries.values()) client.close();
    this.#entries.clear();
  }

  #open(region: string, roleArn: string | undefined): Entry {
    this.#closeUnused();
    const account = roleArn === undefined ? "" : accountOf(roleArn);
    const others = [...this.#entries.values()];
    const sharing = others.find((other) => other.client.region === region && other.account === account);
    const budget = sharing?.client.budget ?? new Budget(this.#options);
    return { client: openClient(this.#options, { region, roleArn, budget }), account, usedAt: 0 };
  }

  #closeUnused(): void {
    const now = this.#options.clock.monotonic();
    for (const [key, { client, usedAt }] of this.#entries) {
      const isOld = now - usedAt > idleMs || this.#entries.size >= mostClients;
      if (!isOld || client.calls > 0) continue;
      client.close();
      this.#entries.delete(key);
    }
  }
}

function openClient(
  options: AwsClientsOptions,
  { region, roleArn, budget }: { region: string; roleArn: string | undefined; budget: Budget },
): AwsClient {
  const { clock, endpoint, maxInFlight } = options;
  const agents = [HttpAgent, HttpsAgent].map((Agent) => new Agent({ keepAlive: true, maxSockets: maxInFlight }));
  const role =
    roleArn === undefined ? undefined : new RoleTaker(roleArn, { region, maxAttempts: 1, ...transport(options) });
  // The client gets no logger: the SDK logs what a command gave back, and that is the plaintext.
  const kms = new KMSClient({
    region,
    ...(endpoint !== undefined && { endpoint }),
    ...(role && { credentials: () => role.take() }),
    // Each attempt needs a turn of the budget.
    retryStrategy: noRetries,
    ...transport(options, agents),
  });
  return {
    kms,
    region,
    budget,
    aliases: new Aliases(clock),
    calls: 0,
    dropIdle() {
      for (const { freeSockets } of agents) {
        for (const socket of Object.values(freeSockets).flat()) socket?.destroy();
      }
    },
    close() {
      kms.destroy();
      role?.close();
    },
  };
}

function transport(
  { connectTimeoutMs, requestTimeoutMs }: AwsClientsOptions,
  [httpAgent, httpsAgent]: readonly (HttpAgent | HttpsAgent)[] = [],
) {
  const requestHandler = new NodeHttpHandler({
    connectionTimeout: connectTimeoutMs,
    requestTimeout: requestTimeoutMs,
    // Without it the SDK only prints a warning; and it counts to the headers, so the socket guards the body.
    throwOnRequestTimeout: true,
    socketTimeout: requestTimeoutMs,
    ...(httpAgent && { httpAgent }),
    ...(httpsAgent instanceof HttpsAgent && { httpsAgent }),
  });
  return { requestHandler };
}

const noRetries = {
  mode: "standard",
  acquireInitialRetryToken: () => Promise.resolve({ getRetryCount: () => 0, getRetryDelay: () => 0 }),
  refreshRetryTokenForRetry: () => Promise.reject(new Error("no retries here")),
  recordSuccess() {},
};
