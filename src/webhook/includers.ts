// Which KMSVaultSecrets include a Partial, as far as its values need them: a few of them are enough, and a namespace may
// hold thousands of others, each as large as etcd takes one. So they are looked through page by page, nothing is kept
// that does not include the Partial, and only a few look at a time.
import pLimit from "p-limit";
import { asOperatorError, OperatorError } from "../base/errors.ts";
import type { TenancyPolicy } from "../policy/policy.ts";
import { mapAt, readSubject, type Subject, textAt } from "./subject.ts";

/**
 * The KMSVaultSecrets of a namespace, as the API server returns them, page by page; a page is asked for when it is taken.
 * @throws OperatorError `KubernetesError` when they cannot be known
 */
export type SecretPages = (namespace: string, signal: AbortSignal) => AsyncIterable<readonly unknown[]>;

/** How many including objects a Partial's value is tried for. */
export const maxIncluders = 5;
/** Objects of a namespace that are looked at for one Partial. */
const mostLookedAt = 5_000;
/** Namespaces that are looked through at once. */
const lookingAtOnce = 2;

export class Includers {
  readonly #pages: SecretPages;
  readonly #policy: Pick<TenancyPolicy, "refusals">;
  readonly #limit = pLimit(lookingAtOnce);

  constructor(pages: SecretPages, policy: Pick<TenancyPolicy, "refusals">) {
    this.#pages = pages;
    this.#policy = policy;
  }

  /**
   * @returns the first `maxIncluders` that may be asked for (what the policy refuses gets nothing decrypted), without
   *   their entries; or why they are not known
   */
  async of(
    partial: Pick<Subject, "namespace" | "name">,
    signal: AbortSignal,
  ): Promise<readonly Subject[] | OperatorError> {
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    try {
      return await Promise.race([this.#limit(() => this.#look(partial, signal)), aborted.promise]);
    } catch (error) {
      const { code, message } = asOperatorError(error);
      if (code === "InternalError" && !signal.aborted) throw error;
      const why = signal.aborted ? "there was no answer in time" : message;
      return new OperatorError(
        "KubernetesError",
        `it does not decrypt as the Partial alone says, and what includes the Partial is not known: ${why}`,
        { cause: error },
      );
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async #look(
    { namespace, name: partial }: Pick<Subject, "namespace" | "name">,
    signal: AbortSignal,
  ): Promise<readonly Subject[]> {
    signal.throwIfAborted();
    const found: Subject[] = [];
    let lookedAt = 0;
    for await (const page of this.#pages(namespace, signal)) {
      if (lookedAt >= mostLookedAt) throw tooMany();
      lookedAt += page.length;
      for (const object of page) {
        if (!includes(object, partial)) continue;
        const subject = withoutEntries(object, namespace);
        if (this.#policy.refusals({ namespace, spec: subject.rawSpec }).length > 0) continue;
        if (found.push(subject) === maxIncluders) return found;
      }
    }
    return found;
  }
}

function includes(object: unknown, partial: string): boolean {
  const names = mapAt(object, "spec")?.includeSecrets;
  return Array.isArray(names) && names.includes(partial);
}

/** Its entries are none of the Partial's, and may be very many. */
function withoutEntries(object: unknown, namespace: string): Subject {
  const name = textAt(mapAt(object, "metadata"), "name");
  const spec = { ...mapAt(object, "spec"), secrets: [] };
  return readSubject({ spec }, { kind: "KMSVaultSecret", namespace, name });
}

function tooMany(): OperatorError {
  return new OperatorError("KubernetesError", `the namespace holds more than ${mostLookedAt} KMSVaultSecrets`);
}
