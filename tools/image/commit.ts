// What git says of a commit that an image is made of: the source of the image's labels, and what they are held against.
import { output } from "./output.ts";

/** A commit, in the words of the labels. */
export interface Commit {
  /** Full id. */
  readonly id: string;
  readonly authorEmail: string;
  /** Seconds since 1970 at which it was written. */
  readonly authorTime: string;
  /** Seconds since 1970 at which it became this commit. */
  readonly commitTime: string;
  /** Tags that point at it, newest version first. */
  readonly tags: readonly string[];
  /** Id of the key that signed it, whether or not the signature can be checked here; "" when it is not signed. */
  readonly signatureKey: string;
}

/**
 * @param revision id, tag or `HEAD`
 * @throws Error with git's words when there is no such commit in the clone
 */
export async function commitOf(clone: string, revision: string): Promise<Commit> {
  const git = (...args: string[]) => output("git", args, { cwd: clone });
  // ^{commit}: a text that git would take for a flag or a range is none of these.
  const id = (await git("rev-parse", "--verify", "--end-of-options", `${revision}^{commit}`)).trim();
  const format = "%ae%n%at%n%ct%n%GK";
  const [authorEmail = "", authorTime = "", commitTime = "", signatureKey = ""] = (
    await git("log", "-1", `--format=${format}`, id)
  ).split("\n");
  const tags = (await git("tag", "--points-at", id, "--sort=-version:refname")).split("\n").filter((tag) => tag !== "");
  return { id, authorEmail, authorTime, commitTime, tags, signatureKey };
}

/** True when the working tree holds what the commit does not. */
export async function isDirty(clone: string): Promise<boolean> {
  return (await output("git", ["status", "--porcelain"], { cwd: clone })) !== "";
}
