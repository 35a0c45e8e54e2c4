// A process that does nothing but lead: it competes for a Lease and, while it leads, writes as fast as it can through both
// doors, into a ConfigMap and into Vault. It counts, apart from the elector and on the monotonic clock, what it issued
// after its renew deadline. Started, stopped and killed by leader-election.test.ts; argument: JSON of Job.
import { subscribe } from "node:diagnostics_channel";
import { type Clock, systemClock } from "../../src/base/clock.ts";
import { PlainValue } from "../../src/base/plaintext.ts";
import { KubeClient } from "../../src/runtime/client.ts";
import type { KubeConnection } from "../../src/runtime/connection.ts";
import { LeaderElector } from "../../src/runtime/leader-election.ts";
import type { Resource } from "../../src/runtime/objects.ts";
import { createVault } from "../../src/vault/factory.ts";
import { vaultAuthOf } from "../gen/vault-auth.ts";

/** What the process is told. */
export interface Job {
  readonly connection: KubeConnection;
  readonly namespace: string;
  readonly lease: string;
  readonly identity: string;
  readonly vault: { readonly address: string; readonly caFile: string; readonly token: string; readonly mount: string };
  /** How far off its wall clock is, ms; `jumping`: it leaps by hours all the time. */
  readonly wallClock: number | "jumping";
}

/** What it says at its end. */
export interface Counted {
  readonly mutations: number;
  /** Written to a socket later than the renew deadline after the last successful renewal was. */
  readonly late: number;
}

const renewDeadlineMs = 10_000;
const hourMs = 3_600_000;
const configMaps: Resource = { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap" };
const silent = { debug() {}, info() {}, warn() {}, error() {} };

function say(event: string): void {
  process.stdout.write(`${event}\n`);
}

function clockOf(wallClock: Job["wallClock"]): Clock {
  const offset = () => (wallClock === "jumping" ? Math.sin(performance.now()) * 6 * hourMs : wallClock);
  return { ...systemClock, now: () => systemClock.now() + offset() };
}

interface SentRequest {
  readonly method: string;
  readonly path: string;
}

/** Watches what undici writes to its sockets. */
function countLate(): Counted {
  const counted = { mutations: 0, late: 0 };
  const sentAt = new WeakMap<object, number>();
  let renewedAt = Number.NEGATIVE_INFINITY;
  const isRenewal = ({ path }: SentRequest) => path.includes("/leases");
  subscribe("undici:client:sendHeaders", (message) => {
    const { request } = message as { readonly request: SentRequest };
    const now = performance.now();
    sentAt.set(request, now);
    if (request.method === "GET" || isRenewal(request)) return;
    counted.mutations += 1;
    if (now - renewedAt >= renewDeadlineMs) counted.late += 1;
  });
  subscribe("undici:request:headers", (message) => {
    const { request, response } = message as { request: SentRequest; response: { readonly statusCode: number } };
    const isWrite = request.method === "PUT" || request.method === "POST";
    if (isWrite && isRenewal(request) && response.statusCode < 300) renewedAt = sentAt.get(request) ?? renewedAt;
  });
  return counted;
}

async function lead(job: Job): Promise<void> {
  const { connection, namespace, lease, identity } = job;
  const clock = clockOf(job.wallClock);
  const counted = countLate();
  const beforeMutation = () => elector.assertLeading();
  const common = { logger: silent, clock };
  const client: KubeClient = new KubeClient({
    ...common,
    connection,
    userAgent: "leader-election-test",
    beforeMutation,
  });
  const elector = new LeaderElector({ ...common, client, namespace, name: lease, identity });
  const { address, caFile, token, mount } = job.vault;
  const vault = createVault({
    ...common,
    transport: { address, caCert: caFile, timeoutMs: 5_000, maxRetries: 0 },
    auth: vaultAuthOf({ VAULT_TOKEN: token }),
    beforeMutation,
  });
  const access = vault.access({ method: "token", namespace: "" });
  const ended = new AbortController();
  const again = async (write: () => Promise<unknown>): Promise<void> => {
    while (!ended.signal.aborted) {
      try {
        await write();
      } catch {
        // Refused by the guard, or by a server that was slow: what matters is what was issued.
        await systemClock.sleep(10);
      }
    }
  };
  // Values that change, so that every write is one that can be seen.
  const writeBoth = () =>
    Promise.all([
      again(() => {
        const body = { data: { writer: identity, at: String(performance.now()) } };
        return client.patch(configMaps, { namespace, name: lease }, { type: "merge", body });
      }),
      again(() => {
        const data = new Map([["at", new PlainValue(String(performance.now()))]]);
        return access.write({ namespace: "", mount, path: identity, engineVersion: "v1" }, data);
      }),
    ]);
  let writing: Promise<unknown> = Promise.resolve();
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort(new Error("SIGTERM")));
  say("running");
  await elector.run(stop.signal, {
    onStartedLeading: () => {
      say("leading");
      writing = writeBoth();
    },
    onLost: () => {
      say("lost");
    },
  });
  // It goes on trying for a while: the guard has to hold, not the caller.
  await systemClock.sleep(300);
  ended.abort();
  await writing;
  await Promise.all([client.close(), vault.close()]);
  say(`counted ${JSON.stringify(counted)}`);
  say("ended");
}

const job: Job = JSON.parse(process.argv[2] ?? "{}");
await lead(job);
