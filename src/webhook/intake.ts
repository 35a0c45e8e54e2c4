// The bodies of requests, within bounds: of one, and of all that are under way, so that a flood of large objects is
// refused with 503 and does not end the process, which would take everybody else's reviews with it.
import type { IncomingMessage } from "node:http";

/** A status of HTTP, and why, in words that quote nothing. */
export interface Refusal {
  readonly status: number;
  readonly error: string;
}

/** An object and its former self, each as large as etcd takes one (1.5 MiB), and what the API server says of them. */
const largestBody = 4 * 1024 * 1024;
/** Of all requests under way. Read and looked at, bytes take some ten times as much memory. */
const mostBytes = 32 * 1024 * 1024;
/** What a request counts for at least: so there are 2048 of them at most. */
const leastBytes = 16 * 1024;

/** All requests under way. */
export class Intake {
  #bytes = 0;

  /** @returns room for one request; to be left when it is answered */
  enter(): Room {
    const room = new Room((bytes) => this.#take(bytes));
    room.take(leastBytes);
    return room;
  }

  #take(bytes: number): boolean {
    if (this.#bytes + bytes > mostBytes) return false;
    this.#bytes += bytes;
    return true;
  }
}

/** What one request takes. */
export class Room {
  readonly #take: (bytes: number) => boolean;
  #taken = 0;
  #isRefused = false;

  constructor(take: (bytes: number) => boolean) {
    this.#take = take;
  }

  /** Once it was more than there is, nothing is taken any more. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  take(bytes: number): void {
    if (this.#isRefused) return;
    if (this.#take(bytes)) this.#taken += bytes;
    else {
      this.leave();
      this.#isRefused = true;
    }
  }

  /** Harmless a second time. */
  leave(): void {
    this.#take(-this.#taken);
    this.#taken = 0;
  }
}

/** Rejects when the connection breaks. */
export async function readJson(request: IncomingMessage, room: Room): Promise<{ readonly json: unknown } | Refusal> {
  if (request.method !== "POST") return { status: 405, error: "only POST" };
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? "")) {
    return { status: 415, error: "only application/json" };
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Read to its end in any case, within requestTimeout: who still sends does not see the refusal.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= largestBody) room.take(chunk.length);
    else room.leave();
    if (bytes <= largestBody && !room.isRefused) chunks.push(chunk);
    else chunks.length = 0;
  }
  if (bytes > largestBody) return { status: 413, error: `more than ${largestBody} bytes` };
  if (room.isRefused) return { status: 503, error: "too many or too large requests under way" };
  try {
    return { json: JSON.parse(Buffer.concat(chunks).toString("utf8")) };
  } catch {
    // The error's message would quote the body.
    return { status: 400, error: "the body is not JSON" };
  }
}
