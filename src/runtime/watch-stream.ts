// From the bytes of a watch to its events. Chunks end anywhere: inside a line, inside a character. So bytes are cut at
// newlines first (a newline byte never occurs inside a UTF-8 character) and decoded only as whole lines.
import { kubeErrorOf } from "./kube-error.ts";
import { invalidResponse, parseJson } from "./wire.ts";

/** One event of a watch. BOOKMARK objects carry nothing but `metadata.resourceVersion`. */
export interface WatchEvent<T> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: T;
}

const newline = 0x0a;

/**
 * Whole lines, without their newline; empty ones are left out. A last line without newline is an event that was cut
 * off: it is dropped, the next watch delivers it again.
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  let open: Uint8Array[] = [];
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      open.push(chunk.subarray(start, end));
      const line = Buffer.concat(open).toString("utf8");
      open = [];
      start = end + 1;
      if (line.trim() !== "") yield line;
    }
    if (start < chunk.length) open.push(chunk.subarray(start));
  }
}

/**
 * The event of one line.
 * @param what the call, for messages
 * @throws KubeError for an ERROR event (its Status's code and reason, 410 `Expired` among them), and `InvalidResponse`
 *   for what is no event; the text itself is never part of the message
 */
export function parseWatchEvent<T>(line: string, what: string): WatchEvent<T> {
  const event: { type?: string; object?: T } | null = parseJson(line, what);
  const { type, object } = event ?? {};
  if (type === "ERROR") throw kubeErrorOf(what, 200, object);
  const known = type === "ADDED" || type === "MODIFIED" || type === "DELETED" || type === "BOOKMARK";
  if (!known || typeof object !== "object" || object === null) {
    throw invalidResponse(what, "the API server sent something that is no watch event");
  }
  return { type, object };
}
