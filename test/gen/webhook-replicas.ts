// Replicas of a webhook that makes its own certificate, at one Secret and one configuration that are held in memory: a
// test says which of them makes its next call, and when.
import { X509Certificate } from "node:crypto";
import type { Clock } from "../../src/base/clock.ts";
import type { SecretData } from "../../src/webhook/certificate-state.ts";
import { certificatesIn } from "../../src/webhook/check-pair.ts";
import type { Periods } from "../../src/webhook/rotation.ts";
import { type HookConfigurations, Replica, type SecretStore } from "../../src/webhook/self-signed.ts";
import type { ServingPair } from "../../src/webhook/serving-certificate.ts";

export const secondMs = 1_000;
export const periods: Periods = {
  validityMs: 120 * secondMs,
  renewBeforeMs: 60 * secondMs,
  announceMs: 6 * secondMs,
  retireMs: 12 * secondMs,
  lookEveryMs: secondMs,
};
/** An API server learns of a new caBundle within this. */
const lagMs = 4 * secondMs;
export const silent = { debug() {}, info() {}, warn() {}, error() {} };

/** The API server's part: one Secret, one configuration, and the bundles that may still be in somebody's cache. */
export class Cluster {
  now = Date.parse("2026-11-24T12:00:00Z");
  secret: { data: SecretData; version: number } | undefined;
  bundle = "";
  configurationVersion = 1;
  /** Earlier bundles, with the time at which they were replaced. */
  readonly past: Array<{ readonly bundle: string; readonly until: number }> = [];
  #version = 1;

  readonly clock: Clock = {
    now: () => this.now,
    monotonic: () => this.now,
    after: () => ({ cancel() {} }),
    sleep: () => Promise.resolve(),
  };

  setBundle(bundle: string): void {
    this.past.push({ bundle: this.bundle, until: this.now });
    this.bundle = bundle;
    this.configurationVersion += 1;
  }

  /** Every bundle that an API server may hold a webhook's certificate against now. */
  bundlesInUse(): string[] {
    return [this.bundle, ...this.past.filter(({ until }) => until > this.now - lagMs).map(({ bundle }) => bundle)];
  }

  /** @param gate held up by it before each call is answered */
  ports(gate: () => Promise<void>): { secrets: SecretStore; configurations: HookConfigurations } {
    const put = (data: SecretData) => {
      this.#version += 1;
      this.secret = { data, version: this.#version };
      return true;
    };
    return {
      secrets: {
        name: "ns/certificate",
        read: async () => {
          await gate();
          return this.secret && { ...this.secret, resourceVersion: String(this.secret.version), isOurs: true };
        },
        create: async (data) => {
          await gate();
          return this.secret === undefined && put(data);
        },
        replace: async (data, resourceVersion) => {
          await gate();
          return String(this.secret?.version) === resourceVersion && put(data);
        },
      },
      configurations: {
        read: async () => {
          await gate();
          return { resourceVersion: String(this.configurationVersion), caBundles: new Map([[0, this.bundle]]) };
        },
        patch: async ({ resourceVersion, caBundle }) => {
          await gate();
          if (resourceVersion !== String(this.configurationVersion)) return undefined;
          this.setBundle(caBundle);
          return String(this.configurationVersion);
        },
      },
    };
  }
}

/** A replica that stops before each of its calls until it is let go. */
export class Puppet {
  served: ServingPair | undefined;
  /** When its look began, undefined between two looks. */
  lookingSince: number | undefined;
  nextLook = 0;
  readonly #cluster: Cluster;
  readonly #replica: Replica;
  #release: (() => void) | undefined;
  #stopped = Promise.withResolvers<void>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    const gate = () =>
      new Promise<void>((resolve) => {
        this.#release = resolve;
        this.#stopped.resolve();
      });
    this.#replica = new Replica(
      { names: ["hook"], clock: cluster.clock, logger: silent, ...cluster.ports(gate) },
      periods,
    );
  }

  /** Lets it go on until its next call, or to the end of its look. */
  async advance(): Promise<void> {
    this.#stopped = Promise.withResolvers();
    if (this.lookingSince === undefined) {
      if (this.nextLook > this.#cluster.now) return;
      this.lookingSince = this.#cluster.now;
      const offer = (pair: ServingPair) => {
        this.served = pair;
      };
      this.#replica.look(offer, new AbortController().signal).then(
        (pauseMs) => {
          this.lookingSince = undefined;
          this.nextLook = this.#cluster.now + pauseMs;
          this.#stopped.resolve();
        },
        (error: unknown) => this.#stopped.reject(error),
      );
    } else {
      this.#release?.();
    }
    await this.#stopped.promise;
  }

  async finish(): Promise<void> {
    while (this.lookingSince !== undefined) await this.advance();
  }
}

/** Parsing and verifying is most of what a sequence costs, and there are few certificates in it. */
const verdicts = new Map<string, boolean>();

export function isTrusted({ cert }: ServingPair, bundle: string): boolean {
  const question = cert + bundle;
  let verdict = verdicts.get(question);
  if (verdict === undefined) {
    const leaf = new X509Certificate(cert);
    verdict = certificatesIn(bundle).some((ca) => leaf.checkIssued(ca) && leaf.verify(ca.publicKey));
    verdicts.set(question, verdict);
  }
  return verdict;
}
