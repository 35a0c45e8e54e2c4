// What the ways of getting a program have in common: a download (download.ts), a build from Go modules (go.ts), an
// installation from Python wheels (pip.ts).
import type { Progress } from "./progress.ts";

/** One way of getting a program into the cache. */
export interface Recipe {
  /** What progress lines and errors call it: `release download`, `Go modules`. */
  readonly title: string;
  /** Name of the cache directory, without the platform: `etcd-3.6.14`. */
  readonly directory: string;
  /** The programs that it makes, by file name; the directory is complete when all of them are in it. */
  readonly programs: readonly string[];
  /** Fills an empty directory. Throws `Unavailable` when this way is closed here, anything else when it went wrong. */
  fill(directory: string, progress: Progress): Promise<void>;
}

/** A way that cannot be gone on this machine; the message says what to install or what could not be reached. */
export class Unavailable extends Error {
  override readonly name = "Unavailable";
}
