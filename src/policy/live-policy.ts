// The policy as its file says at the moment. The file is looked at twice a second and taken up when it stood still for
// a while, so that what somebody has half written is not. What is broken never replaces what was right.
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Claimant, Grants, PolicyPlace, TenancyPolicy } from "./policy.ts";
import { isLink, type LoadedPolicy, loadPolicy, signatureOf } from "./policy-file.ts";
import { type PolicySurroundings, RulePolicy } from "./rule-policy.ts";

export interface PolicyOptions extends PolicySurroundings {
  /** As the process read it at its start; undefined: there is no policy. */
  readonly loaded: LoadedPolicy | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called with whether the file says what holds; false while the last good one does. */
  readonly reportValid: (isValid: boolean) => void;
}

/** Between two looks at the file, ms. */
const lookMs = 500;
/** So long a file has to stand still, ms: a mounted ConfigMap is swapped as a whole, other files are written bit by bit. */
const quietMs = { link: lookMs, file: 5_000 };

/** The policy; follows its file until it is closed. */
export function openPolicy(options: PolicyOptions): LivePolicy {
  return new LivePolicy(options);
}

export class LivePolicy implements TenancyPolicy {
  readonly #options: PolicyOptions;
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  readonly #listeners: (() => void)[] = [];
  #policy: RulePolicy;
  #text: string | undefined;
  #problem = "";
  /** Of the file, at the last look and when it was last read. */
  #seen = "";
  #read = "";
  /** Monotonic: since when it has been seen so, ms. */
  #seenSince = 0;

  constructor(options: PolicyOptions) {
    const { loaded } = options;
    this.#options = options;
    this.#policy = new RulePolicy(loaded?.rules, options);
    this.#text = loaded?.text;
    options.reportValid(true);
    this.#following = loaded === undefined ? Promise.resolve() : this.#follow(loaded.file);
  }

  /** Whether it goes by labels of namespaces, at the moment. */
  get usesLabels(): boolean {
    return this.#policy.usesLabels;
  }

  /** Called when something else is allowed, or may be. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  refusals(claimant: Claimant): readonly string[] {
    return this.#policy.refusals(claimant);
  }

  removalRefusals(claimant: Claimant, place?: PolicyPlace): readonly string[] {
    return this.#policy.removalRefusals(claimant, place);
  }

  assertMayUse(namespace: string, place: PolicyPlace): void {
    this.#policy.assertMayUse(namespace, place);
  }

  grants(namespace: string): Grants {
    return this.#policy.grants(namespace);
  }

  /** Follows the file no more. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#following;
  }

  async #follow(file: string): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      await this.#look(file);
      await this.#options.clock.sleep(lookMs, signal);
    }
  }

  async #look(file: string): Promise<void> {
    const signature = await signatureOf(file);
    const now = this.#options.clock.monotonic();
    if (signature !== this.#seen) this.#seenSince = now;
    this.#seen = signature;
    if (signature === this.#read || now - this.#seenSince < quietMs[(await isLink(file)) ? "link" : "file"]) return;
    const loaded = await loadPolicy(file);
    // What was read may be in part what it is now.
    if ((await signatureOf(file)) !== signature) return;
    this.#read = signature;
    if ("problems" in loaded) this.#keep(file, loaded.problems);
    else this.#take(loaded);
  }

  #keep(file: string, problems: readonly string[]): void {
    const { logger, reportValid } = this.#options;
    reportValid(false);
    const problem = problems.join("\n");
    // Once per problem, not each time that the file is touched.
    if (problem !== this.#problem) logger.error({ file, problems }, "policy file unusable, keeping the last good one");
    this.#problem = problem;
  }

  #take({ file, text, rules }: LoadedPolicy): void {
    const { logger, reportValid } = this.#options;
    if (this.#problem !== "") {
      reportValid(true);
      logger.info({ file }, "policy file is in order again");
      this.#problem = "";
    }
    if (text === this.#text) return;
    this.#text = text;
    this.#policy = new RulePolicy(rules, this.#options);
    logger.info({ file, rules: rules.length }, "policy changed, used from now on");
    for (const listener of this.#listeners) listener();
  }
}
