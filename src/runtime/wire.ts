// How calls and answers look on the wire: URL paths, queries, JSON bodies. Answers are believed to have the shape
// that the API server's schema gives them, but first looked at: what is no list must never read as an empty one.
import { KubeError } from "./kube-error.ts";
import type { Resource } from "./objects.ts";

/** An object, or a collection (no name); no namespace for cluster-scoped ones. */
export interface ObjectRef {
  readonly namespace?: string | undefined;
  readonly name?: string;
  readonly subresource?: string;
}

/** The URL path of an object or collection. */
export function resourcePath(resource: Resource, { namespace, name, subresource }: ObjectRef): string {
  const root = resource.group === "" ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  const segments = [namespace ? ["namespaces", namespace] : [], resource.plural, name ?? [], subresource ?? []];
  return `${root}/${segments.flat().map(encodeURIComponent).join("/")}`;
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** `?a=b&c=d` of what is defined, or "". */
export function queryString(query: Query): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

/** As JSON.parse gives it: whoever calls says what the API server's schema promises. */
type Json = ReturnType<typeof JSON.parse>;

/**
 * JSON of an answer.
 * @param what the call, for the message
 * @throws KubeError `InvalidResponse`, without the text: it may hold what nobody should read in a log
 */
export function parseJson(text: string, what: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    throw invalidResponse(what, "the answer is not JSON");
  }
}

/** JSON of the body of a failed call, undefined when it is none (then the HTTP status alone has to tell). */
export function parseErrorBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One page of a list. */
export interface ListPage<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** To ask for the next page with; undefined on the last. */
  readonly continue: string | undefined;
}

/**
 * The page in the body of a 200.
 * @throws KubeError `InvalidResponse` when it is no list
 */
export function parseListPage<T>(text: string, what: string): ListPage<T> {
  interface ListBody {
    kind?: string;
    metadata?: { resourceVersion?: string; continue?: string };
    items?: readonly T[];
  }
  const list: ListBody | null = parseJson(text, what);
  const resourceVersion = list?.metadata?.resourceVersion;
  if (!list?.kind?.endsWith("List") || !Array.isArray(list.items) || !resourceVersion) {
    throw invalidResponse(what, "the answer is no list");
  }
  return { items: list.items, resourceVersion, continue: list.metadata?.continue || undefined };
}

/** The error for a 200 that makes no sense. */
export function invalidResponse(what: string, problem: string): KubeError {
  return new KubeError(`${what}: ${problem}; is something else than an API server at this address?`, {
    status: 0,
    reason: "InvalidResponse",
  });
}
