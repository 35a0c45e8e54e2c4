// The identities (private keys) of age, from the file that age-keygen writes. It is looked at again at each use and read
// when it has changed, because whoever rotates keys replaces it under a running process. A broken file never replaces
// one that worked.
import { readFile, stat } from "node:fs/promises";
import { OperatorError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { codeOf } from "../base/retry.ts";

/** An identity and the recipient for which values are encrypted that it decrypts. */
export interface AgeIdentity {
  /** `AGE-SECRET-KEY-1…` */
  readonly secret: string;
  /** `age1…` */
  readonly recipient: string;
}

/** What is wrong with the file. Never quotes it. */
class BrokenFile extends Error {}

export class AgeKeyFile {
  readonly #file: string;
  readonly #logger: Logger;
  /** As the file was when its content was read last, good or not. */
  #stamp: string | undefined;
  #reading: Promise<void> | undefined;
  #identities: readonly AgeIdentity[] | undefined;
  #problem: string | undefined;

  constructor(file: string, logger: Logger) {
    this.#file = file;
    this.#logger = logger;
  }

  /**
   * The identities of the file as it is now, or as it was when it was good last; in the order of the file.
   * @throws OperatorError `KMSAccessDenied` when it has not been good yet
   */
  async identities(): Promise<readonly AgeIdentity[]> {
    this.#reading ??= this.#look().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
    if (this.#identities !== undefined) return this.#identities;
    throw new OperatorError(
      "KMSAccessDenied",
      `there is no usable age key: the file that --age-key-file names ${this.#problem}; put there what age-keygen writes`,
    );
  }

  async #look(): Promise<void> {
    const stamp = await stampOf(this.#file);
    if (stamp === this.#stamp) return;
    try {
      this.#identities = await readIdentities(this.#file);
      this.#stamp = stamp;
      this.#problem = undefined;
    } catch (error) {
      // What kept it from being read (too many open files, a file server) may pass without a change of the file.
      this.#stamp = error instanceof BrokenFile ? stamp : undefined;
      const problem = error instanceof BrokenFile ? error.message : `cannot be read (${codeOf(error)})`;
      if (problem === this.#problem) return;
      this.#problem = problem;
      const keepsOld = this.#identities !== undefined;
      this.#logger.warn({ problem, keepsOld }, "the age key file is not usable");
    }
  }
}

/** Another one whenever the file is another one, by content or by being replaced. */
async function stampOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await stat(file);
    return [ino, size, mtimeMs, ctimeMs].join(" ");
  } catch (error) {
    // What it means for whoever needs the file is said when it is read.
    return codeOf(error);
  }
}

async function readIdentities(file: string): Promise<readonly AgeIdentity[]> {
  const lines = (await readFile(file, "utf8")).split("\n").map((line) => line.trim());
  const secrets = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (secrets.length === 0) throw new BrokenFile("holds no key");
  const { identityToRecipient } = await import("age-encryption");
  return Promise.all(
    secrets.map(async (secret) => {
      if (!secret.startsWith("AGE-SECRET-KEY-1")) {
        throw new BrokenFile("holds a line that is neither a comment nor an X25519 key (AGE-SECRET-KEY-1…)");
      }
      try {
        return { secret, recipient: await identityToRecipient(secret) };
      } catch {
        // Its error may quote the key.
        throw new BrokenFile("holds a key that is cut off or mistyped");
      }
    }),
  );
}
