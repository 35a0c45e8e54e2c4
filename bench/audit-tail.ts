// Follows OpenBao's audit log while it grows: what Vault was asked, and when, told by Vault itself. Each part of the file
// is read once, and only the lines of answers are parsed, so that watching costs the measured little.
import { type FileHandle, open } from "node:fs/promises";

/** One request that Vault has answered. */
export interface Asked {
  /** When Vault had carried it out, ms since the epoch. */
  readonly at: number;
  readonly operation: string;
  /** API path without `v1/`. */
  readonly path: string;
  /** Vault refused it. */
  readonly failed: boolean;
}

const chunkBytes = 4 * 1024 * 1024;
const answerMark = Buffer.from('"type":"response"');

export class AuditTail {
  readonly #file: FileHandle;
  #offset: number;
  #rest: Buffer = Buffer.alloc(0);
  #asked: Asked[] = [];
  #reading: Promise<void> = Promise.resolve();

  private constructor(file: FileHandle, offset: number) {
    this.#file = file;
    this.#offset = offset;
  }

  /** Opens the log at its present end. */
  static async open(auditLog: string): Promise<AuditTail> {
    const file = await open(auditLog, "r");
    return new AuditTail(file, (await file.stat()).size);
  }

  /** The requests since the last `reset` whose path begins with `prefix`, oldest first. */
  async requests(prefix: string): Promise<readonly Asked[]> {
    await this.#read();
    return this.#asked.filter(({ path }) => path.startsWith(prefix));
  }

  /** Forgets what was seen so far. */
  async reset(): Promise<void> {
    await this.#read();
    this.#asked = [];
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** One reading at a time, or a part of the file would be taken twice. */
  #read(): Promise<void> {
    this.#reading = this.#reading.then(() => this.#readOn());
    return this.#reading;
  }

  async #readOn(): Promise<void> {
    for (;;) {
      const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(chunkBytes), 0, chunkBytes, this.#offset);
      if (bytesRead === 0) return;
      this.#offset += bytesRead;
      this.#take(Buffer.concat([this.#rest, buffer.subarray(0, bytesRead)]));
    }
  }

  #take(bytes: Buffer): void {
    let start = 0;
    for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
      const line = bytes.subarray(start, end);
      start = end + 1;
      if (line.includes(answerMark)) this.#asked.push(parseRequest(line.toString("utf8")));
    }
    this.#rest = Buffer.from(bytes.subarray(start));
  }
}

/** @param line of an audit device of type file, format JSON */
export function parseRequest(line: string): Asked {
  const { time, request, error } = JSON.parse(line);
  return { at: instantOf(time), operation: request.operation, path: request.path, failed: error !== undefined };
}

/** RFC 3339 with nanoseconds → ms since the epoch, with fractions: Date.parse alone would cut them off. */
function instantOf(time: string): number {
  const [, whole = time, fraction = "0", zone = "Z"] = /^(.*?)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(time) ?? [];
  return Date.parse(whole + zone) + Number(`0.${fraction}`) * 1000;
}
