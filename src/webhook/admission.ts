// What becomes of a review: what may never be held up is let through unseen, the rest is looked at (structure.ts,
// values.ts), and everything that is wrong is said in one answer. Nothing is changed anywhere, so a dry run is nothing
// special.
import { isDeepStrictEqual } from "node:util";
import { group } from "../api/kinds.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { allowed, answerTo, limited, parseReview, type Review, type Verdict } from "./review.ts";
import { entryText, sinceBefore, type StructureRules, structureOf } from "./structure.ts";
import { type Identity, type Kind, kinds, mapAt, readSubject, type Subject, textAt } from "./subject.ts";
import { checkValues, type ValueTools } from "./values.ts";

/** What becomes of an object with a value that cannot be decrypted. `off`: nobody looks. */
type DecryptMode = "deny" | "warn" | "off";

/** Where figures go. */
interface WebhookMetrics {
  reviewed(kind: string, operation: string, outcome: string, seconds: number): void;
  uncheckedValue(code: string): void;
}

export interface AdmissionOptions extends StructureRules, Omit<ValueTools, "policy"> {
  readonly mode: DecryptMode;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: WebhookMetrics;
}

/** What is sent back. */
export interface Reply {
  readonly status: number;
  readonly body: object;
}

/** Answers the bodies of requests. */
export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * @param body the request's JSON
   * @param signal aborts when the answer is due: what is not known then is let through with a warning
   */
  async answer(body: unknown, signal: AbortSignal): Promise<Reply> {
    const { clock, logger, metrics } = this.#options;
    const since = clock.monotonic();
    const review = parseReview(body);
    const isReview = !("problem" in review);
    const tell = (outcome: string) =>
      metrics.reviewed(
        (isReview && kindOf(review)) || "other",
        isReview && ["CREATE", "UPDATE", "DELETE"].includes(review.operation) ? review.operation : "other",
        outcome,
        (clock.monotonic() - since) / 1_000,
      );
    if (!isReview) {
      tell("malformed");
      return { status: 400, body: { error: review.problem } };
    }
    try {
      const verdict = await this.#judge(review, signal);
      tell(outcomeOf(verdict));
      this.#log(review, verdict);
      return { status: 200, body: answerTo(review, verdict) };
    } catch (error) {
      tell("error");
      logger.error({ ...fieldsOf(review), error }, "review failed; this is a bug");
      return { status: 500, body: { error: "unexpected error; this is a bug in the webhook, its log has the stack" } };
    }
  }

  async #judge(review: Review, signal: AbortSignal): Promise<Verdict> {
    const kind = kindOf(review);
    if (kind === undefined) {
      const known = kinds.join(" and ");
      return { ...allowed, warnings: [`kms-vault-operator webhook: ${review.kind} is not checked, only ${known} are`] };
    }
    if (passesUnseen(review)) return allowed;
    // Both kinds are namespaced: no API server asks so, and whoever does would have every namespace looked through.
    if (review.namespace === "") return { ...allowed, isAllowed: false, problems: ["the review names no namespace"] };
    const identity: Identity = { kind, namespace: review.namespace, name: review.name };
    const subject = readSubject(review.object, identity);
    const old = review.operation === "UPDATE" ? readSubject(review.oldObject, identity) : undefined;
    return this.#look(subject, old, signal);
  }

  async #look(subject: Subject, old: Subject | undefined, signal: AbortSignal): Promise<Verdict> {
    const { mode, metrics } = this.#options;
    const structure = structureOf(subject, this.#options);
    const before = old === undefined ? [] : structureOf(old, this.#options).findings;
    const { fresh, former } = sinceBefore(structure.findings, before);
    const problems = fresh.map(({ text }) => text);
    const warnings = former.map(({ text }) => `was so before: ${text}`);
    warnings.push(
      ...structure.unknown.map(({ code, message }) => `not checked against the policy: ${code}: ${message}`),
    );
    if (mode !== "off" && !structure.isRefused) {
      const { failed, unchecked } = await checkValues(
        { subject, old, except: structure.badKeys, signal },
        this.#options,
      );
      const texts = failed.map(({ key, error }) => entryText(subject, key, error));
      (mode === "deny" ? problems : warnings).push(...texts);
      for (const { error } of unchecked) metrics.uncheckedValue(error.code);
      const [first] = unchecked;
      if (first !== undefined) {
        const names = unchecked.map(({ key }) => key).join(", ");
        warnings.push(`not checked, ${first.error.code}: keys ${names}: ${first.error.message}`);
      }
    }
    return { isAllowed: problems.length === 0, problems, warnings };
  }

  #log(review: Review, { isAllowed, problems, warnings }: Verdict): void {
    const { logger } = this.#options;
    const fields = fieldsOf(review);
    if (!isAllowed) logger.info({ ...fields, problems: limited(problems), count: problems.length }, "denied");
    else if (warnings.length > 0) logger.info({ ...fields, warnings: limited(warnings) }, "allowed with warnings");
    else logger.debug(fields, "allowed");
  }
}

function kindOf({ kind }: Review): Kind | undefined {
  return kinds.find((known) => kind === `${group}/${known}`);
}

/**
 * Deletion and statuses are never held up, nor is an update that changes no spec: the one that takes a finalizer away
 * from a deleted object is one of them.
 */
function passesUnseen({ operation, subresource, object, oldObject }: Review): boolean {
  if (!["CREATE", "UPDATE"].includes(operation) || subresource !== "") return true;
  if (textAt(mapAt(object, "metadata"), "deletionTimestamp") !== "") return true;
  return operation === "UPDATE" && isDeepStrictEqual(object?.spec, oldObject?.spec);
}

function outcomeOf({ isAllowed, warnings }: Verdict): string {
  if (!isAllowed) return "denied";
  return warnings.length > 0 ? "warned" : "allowed";
}

/** No values: the object, and who wants what. */
function fieldsOf({ kind, namespace, name, operation, user, uid, isDryRun }: Review): Record<string, unknown> {
  return { kind, namespace, name, operation, user, review: uid, dryRun: isDryRun };
}
