// AdmissionReview, version 1 and 1beta1, as the API server sends it and as it wants it answered: in the version in which
// it asked (a current one sends v1beta1 to a configuration that lists only that, and refuses a v1 answer).
import { mapAt, textAt } from "./subject.ts";

/** One question of the API server. */
export interface Review {
  /** To be given back. */
  readonly apiVersion: string;
  readonly uid: string;
  /** Group, version and kind of the object, for people and for comparison: `k8s.patoarvizu.dev/KMSVaultSecret`. */
  readonly kind: string;
  readonly namespace: string;
  /** "" where the API server has yet to make one up. */
  readonly name: string;
  readonly operation: string;
  /** "" for the object itself. */
  readonly subresource: string;
  readonly user: string;
  readonly isDryRun: boolean;
  readonly object: Readonly<Record<string, unknown>> | undefined;
  readonly oldObject: Readonly<Record<string, unknown>> | undefined;
}

/** One answer. */
export interface Verdict {
  readonly isAllowed: boolean;
  /** Why not; empty when allowed. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** Let through without a word. */
export const allowed: Verdict = { isAllowed: true, problems: [], warnings: [] };

const versions: readonly string[] = ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"];
/** The API server cuts longer warnings, and all of them together at 4096. */
const maxWarning = 256;
const maxShown = 20;
/** Of one of them, characters: the name of a key may be as long as an object. */
const maxText = 2_048;

/** @returns the review, or what is wrong with it in words that quote nothing */
export function parseReview(body: unknown): Review | { readonly problem: string } {
  const apiVersion = textAt(body, "apiVersion");
  if (textAt(body, "kind") !== "AdmissionReview" || !versions.includes(apiVersion)) {
    return { problem: `the body is no AdmissionReview of ${versions.join(" or ")}` };
  }
  const request = mapAt(body, "request");
  const uid = textAt(request, "uid");
  const kind = mapAt(request, "kind");
  const operation = textAt(request, "operation");
  if (request === undefined || uid === "" || kind === undefined || operation === "") {
    return { problem: "the AdmissionReview has no request with uid, kind and operation" };
  }
  const object = mapAt(request, "object");
  return {
    apiVersion,
    uid,
    kind: `${textAt(kind, "group")}/${textAt(kind, "kind")}`,
    namespace: textAt(request, "namespace"),
    name: textAt(request, "name") || textAt(mapAt(object, "metadata"), "name"),
    operation,
    subresource: textAt(request, "subResource"),
    user: textAt(mapAt(request, "userInfo"), "username"),
    isDryRun: request.dryRun === true,
    object,
    oldObject: mapAt(request, "oldObject"),
  };
}

/** The AdmissionReview that answers one. */
export function answerTo({ apiVersion, uid }: Review, { isAllowed, problems, warnings }: Verdict): object {
  const response = {
    uid,
    allowed: isAllowed,
    ...(!isAllowed && { status: { code: 403, reason: "Forbidden", message: messageOf(problems) } }),
    ...(warnings.length > 0 && { warnings: limited(warnings).map(warningText) }),
  };
  return { apiVersion, kind: "AdmissionReview", response };
}

/** One problem is the original's text, several are one line each. */
function messageOf(problems: readonly string[]): string {
  return limited(problems).join("\n");
}

/** The first of them, none too long, and how many more there are: what is shown and logged, however large an object is. */
export function limited(texts: readonly string[]): readonly string[] {
  const shown = texts.slice(0, maxShown).map((text) => cut(text, maxText));
  return texts.length > shown.length ? [...shown, `and ${texts.length - shown.length} more`] : shown;
}

/** A warning travels in an HTTP header. */
function warningText(text: string): string {
  return cut(text.replaceAll(/\p{Cc}+/gu, " "), maxWarning);
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).trimEnd()}…`;
}
