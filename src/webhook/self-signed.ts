// The serving certificate that the webhook makes for itself (--self-signed). All replicas serve the pair of one Secret;
// any of them takes the next step of a rotation, whoever is first. The order of reading and writing is what keeps
// replicas that were held up from undoing what others did: see `#look`.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { OperatorError } from "../base/errors.ts";
import {
  authorityIn,
  bundleOf,
  type CertificateState,
  decodeState,
  encodeState,
  type IssuedPair,
  type SecretData,
} from "./certificate-state.ts";
import { type Offer, PairLoop } from "./pair-loop.ts";
import {
  defaultPeriods,
  isUnannounced,
  isUsable,
  joined,
  nextStep,
  type Periods,
  type Step,
  stateAfter,
} from "./rotation.ts";
import type { ServingCertificate } from "./serving-certificate.ts";

/** The Secret as it was read. */
export interface StoredSecret {
  readonly data: SecretData;
  readonly resourceVersion: string;
  /** Whether it was made by a `create` of ours; another's is not written to. */
  readonly isOurs: boolean;
}

/** Where the replicas keep their pair: one Secret. Reads are never stale. */
export interface SecretStore {
  /** For messages: `namespace/name`. */
  readonly name: string;
  read(signal: AbortSignal): Promise<StoredSecret | undefined>;
  /** @returns false when there is one already */
  create(data: SecretData, signal: AbortSignal): Promise<boolean>;
  /**
   * Puts `data` in the place of all that it holds.
   * @returns false when it has changed since
   */
  replace(data: SecretData, resourceVersion: string, signal: AbortSignal): Promise<boolean>;
}

/** The entries of the webhook's configuration that point to us. */
export interface HookConfiguration {
  readonly resourceVersion: string;
  /** Index of the entry → its caBundle, PEM; "" for none. */
  readonly caBundles: ReadonlyMap<number, string>;
}

/** The ValidatingWebhookConfiguration, which tells API servers what to trust. Reads are never stale. */
export interface HookConfigurations {
  /** @returns undefined when there is none */
  read(signal: AbortSignal): Promise<HookConfiguration | undefined>;
  /**
   * Sets caBundle of these entries and nothing else.
   * @returns the resourceVersion after it; undefined when the configuration has changed since `resourceVersion`
   */
  patch(change: BundleChange, signal: AbortSignal): Promise<string | undefined>;
}

export interface BundleChange {
  readonly resourceVersion: string;
  readonly entries: readonly number[];
  /** PEM */
  readonly caBundle: string;
}

export interface SelfSignedOptions {
  /** DNS names and IP addresses under which the webhook is called: `<service>.<namespace>.svc`, and others. */
  readonly names: readonly string[];
  readonly secrets: SecretStore;
  readonly configurations: HookConfigurations;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly periods?: Partial<Periods>;
}

/** After a write by somebody else came first, ms. */
const lostRaceMs = 100;

/** A pair of our own making, shared by all replicas, rotated without a gap; caBundle is kept as it has to be. */
export function selfSigned(options: SelfSignedOptions): ServingCertificate {
  const { clock, logger } = options;
  const periods = { ...defaultPeriods, ...options.periods };
  const replica = new Replica(options, periods);
  const look = (offer: Offer, signal: AbortSignal) => replica.look(offer, signal);
  const trouble = "the webhook's certificate cannot be kept in order";
  return new PairLoop({ look, retryMs: periods.lookEveryMs, trouble, clock, logger });
}

/** One process of the webhook, at its certificate. Exported for tests that interleave several. */
export class Replica {
  readonly #options: SelfSignedOptions;
  readonly #periods: Periods;
  /** The last state that could be used. */
  #state: CertificateState | undefined;
  /** Since when (monotonic) the Secret and the configuration have been seen as `key` says. */
  #settled: { readonly key: string; readonly since: number } | undefined;
  #lacksConfiguration = false;

  constructor(options: SelfSignedOptions, periods: Periods) {
    this.#options = options;
    this.#periods = periods;
  }

  /**
   * One look at the Secret and the configuration, and at most one step. The configuration is read first and written
   * only if it is still the one that was read: a caBundle of a later state then stands in it or makes the write fail,
   * so that no replica, however late, writes the bundle of an earlier state over it.
   */
  async look(offer: Offer, signal: AbortSignal): Promise<number> {
    const { secrets, configurations, clock, names } = this.#options;
    // It may be out of reach while the Secret is not: then there is at least something to serve.
    const [configuration] = await Promise.allSettled([configurations.read(signal)]);
    const secret = await secrets.read(signal);
    if (secret !== undefined && !secret.isOurs) throw foreignSecret(secrets.name);
    const state = secret && decodeState(secret.data);
    const own = this.#usable();
    if (secret !== undefined && state !== undefined && own !== undefined && isUnannounced(state, own, clock.now())) {
      return (await this.#put("join", joined(own, state), secret, signal)) ? 0 : lostRaceMs;
    }
    if (state !== undefined && isUsable(state, clock.now())) {
      this.#state = state;
      offer(state.serving);
      if (configuration.status === "rejected") throw configuration.reason;
      if (!(await this.#trust(state, configuration.value, signal))) return lostRaceMs;
    }
    const seen = { state, settledMs: this.#settledMs(), now: clock.now(), names };
    const step = nextStep(seen, this.#periods);
    if (step === "wait") return this.#periods.lookEveryMs;
    // For `begin` as well: what is in memory is still served and trusted when the Secret is gone.
    const before = this.#usable();
    const after = await stateAfter(step, before, () => this.#issue());
    // Who has nothing in memory does not know who else serves: what is trusted stays so, until they have seen ours.
    const trusted = before === undefined && configuration.status === "fulfilled" ? bundleIn(configuration.value) : "";
    const previousCa = authorityIn(trusted) ?? after.previousCa;
    const next = { ...after, ...(previousCa !== undefined && { previousCa }) };
    return (await this.#put(step, next, secret, signal)) ? 0 : lostRaceMs;
  }

  /** Makes the configuration trust what is served now and next. @returns false when it has changed meanwhile */
  async #trust(
    state: CertificateState,
    configuration: HookConfiguration | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { configurations, clock, logger } = this.#options;
    const caBundle = bundleOf(state);
    this.#tellOfAbsence(configuration);
    let resourceVersion = configuration?.resourceVersion;
    const entries = [...(configuration?.caBundles ?? [])].filter(([, is]) => is !== caBundle).map(([index]) => index);
    if (resourceVersion !== undefined && entries.length > 0) {
      resourceVersion = await configurations.patch({ resourceVersion, entries, caBundle }, signal);
      if (resourceVersion === undefined) return false;
      logger.info({ entries: entries.length, resourceVersion }, "caBundle of the webhook's configuration written");
    }
    const key = [resourceVersion ?? "none", state.serving.cert, caBundle].join("\n");
    if (this.#settled?.key !== key) this.#settled = { key, since: clock.monotonic() };
    return true;
  }

  #settledMs(): number {
    return this.#settled === undefined ? 0 : this.#options.clock.monotonic() - this.#settled.since;
  }

  /** What is in memory, if it may be served. */
  #usable(): CertificateState | undefined {
    return this.#state !== undefined && isUsable(this.#state, this.#options.clock.now()) ? this.#state : undefined;
  }

  /** @returns false when another replica was faster */
  async #put(
    step: Exclude<Step, "wait"> | "join",
    state: CertificateState,
    secret: StoredSecret | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { secrets, logger } = this.#options;
    const data = encodeState(state);
    const isDone =
      secret === undefined
        ? await secrets.create(data, signal)
        : await secrets.replace(data, secret.resourceVersion, signal);
    const notAfter = new Date(state.serving.notAfter).toISOString();
    if (isDone) logger.info({ step, notAfter, secret: secrets.name }, "the webhook's certificate: a step was taken");
    return isDone;
  }

  async #issue(): Promise<IssuedPair> {
    // Needed every two months: not worth its loading time at each start.
    const { issuePair } = await import("./certificate-authority.ts");
    const { names, clock } = this.#options;
    return issuePair({ names, now: clock.now(), validityMs: this.#periods.validityMs });
  }

  /** Once: an installation may create it after us. */
  #tellOfAbsence(configuration: HookConfiguration | undefined): void {
    const lacks = configuration === undefined || configuration.caBundles.size === 0;
    if (lacks && !this.#lacksConfiguration) {
      this.#options.logger.warn({}, "no webhook configuration points here yet; caBundle is written when one does");
    }
    this.#lacksConfiguration = lacks;
  }
}

/** All that our entries trust. */
function bundleIn(configuration: HookConfiguration | undefined): string {
  return [...new Set(configuration?.caBundles.values())].join("");
}

function foreignSecret(name: string): OperatorError {
  return new OperatorError(
    "KubernetesError",
    `Secret ${name} was not made by this webhook, so it is left alone; remove it (and a Certificate of cert-manager that fills it), or use it with -tls-cert-file and -tls-key-file in place of --self-signed`,
  );
}
