// When a certificate of our own making is replaced, and in which steps, so that at no time anyone who calls the webhook
// meets a certificate that they do not trust yet or no more. Pure: what has been seen goes in, the next step comes out.
import { covers } from "./certificate-names.ts";
import { bundleOf, type CertificateState, type IssuedPair } from "./certificate-state.ts";

const secondMs = 1000;
const dayMs = 24 * 60 * 60 * secondMs;

/** All in ms. */
export interface Periods {
  /** Of an authority and of its one certificate. */
  readonly validityMs: number;
  /** A rotation begins so long before the end of the validity. */
  readonly renewBeforeMs: number;
  /** So long a new authority has stood in caBundle before its certificate is served: API servers learn of it by a watch. */
  readonly announceMs: number;
  /** So long the old authority stays in caBundle: until then every replica has read the Secret, whatever held it up. */
  readonly retireMs: number;
  /** Between two looks at the Secret and at caBundle. */
  readonly lookEveryMs: number;
}

/** 90 days, replaced after two thirds of them. */
export const defaultPeriods: Periods = {
  validityMs: 90 * dayMs,
  renewBeforeMs: 30 * dayMs,
  announceMs: 60 * secondMs,
  retireMs: 60 * 60 * secondMs,
  lookEveryMs: 2 * secondMs,
};

/**
 * `begin`: there is nothing that could be served, make it. `announce`: make the next pair, add its authority to
 * caBundle. `promote`: serve the next pair. `retire`: take the old authority out of caBundle.
 */
export type Step = "wait" | "begin" | "announce" | "promote" | "retire";

/** What has been seen. */
export interface Seen {
  /** Of the Secret; undefined: it is missing, or holds nothing that could be served. */
  readonly state: CertificateState | undefined;
  /** For how long this state and its caBundle have stood unchanged, as far as we know, ms. */
  readonly settledMs: number;
  /** ms since the epoch */
  readonly now: number;
  /** Which the certificate has to be good for. */
  readonly names: readonly string[];
}

/** The step to be taken. Each is one write of the Secret, so whoever stops between two of them leaves a whole state. */
export function nextStep({ state, settledMs, now, names }: Seen, periods: Periods): Step {
  if (state === undefined || !isUsable(state, now)) return "begin";
  const { serving, next, previousCa } = state;
  if (next !== undefined) {
    if (isExpired(next, now)) return "announce";
    // An expired certificate is refused by everybody: nothing is gained by waiting.
    return settledMs >= periods.announceMs || isExpired(serving, now) ? "promote" : "wait";
  }
  if (previousCa !== undefined) return settledMs >= periods.retireMs ? "retire" : "wait";
  const isDue = serving.notAfter - now <= periods.renewBeforeMs;
  return isDue || !covers(serving, names) ? "announce" : "wait";
}

/** Whether there is a pair in it that may be served, now or at once. */
export function isUsable({ serving, next }: CertificateState, now: number): boolean {
  return !isExpired(serving, now) || (next !== undefined && !isExpired(next, now));
}

/**
 * Whether callers may not trust yet what a state serves: another process began anew, because the Secret was gone.
 * @param own what this process serves, and has seen announced
 */
export function isUnannounced(state: CertificateState, own: CertificateState, now: number): boolean {
  return !isExpired(own.serving, now) && !bundleOf(own).includes(state.serving.ca);
}

/** The state in which the pair of another's beginning is announced while ours is served on. */
export function joined(own: CertificateState, other: CertificateState): CertificateState {
  // Somebody may serve our next one already.
  const previousCa = own.next?.ca ?? own.previousCa;
  return { serving: own.serving, next: other.serving, ...(previousCa !== undefined && { previousCa }) };
}

/**
 * The state after a step.
 * @param state before it; for `begin` what this process has served until now, if anything
 * @param fresh a new pair; asked for by `begin` and `announce`
 */
export async function stateAfter(
  step: Exclude<Step, "wait">,
  state: CertificateState | undefined,
  fresh: () => Promise<IssuedPair>,
): Promise<CertificateState> {
  if (state === undefined) return { serving: await fresh() };
  const { serving, next, previousCa } = state;
  // `begin` with something in memory: somebody deleted the Secret, or broke it. Calls go on while a new pair is announced.
  if (step === "begin" || step === "announce") {
    return { serving, next: await fresh(), ...(previousCa !== undefined && { previousCa }) };
  }
  if (step === "promote" && next !== undefined) return { serving: next, previousCa: serving.ca };
  return { serving };
}

function isExpired({ notAfter }: IssuedPair, now: number): boolean {
  return notAfter <= now;
}
