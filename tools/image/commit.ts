// What git says of a commit that an image is made of: the source of the image's labels, and what they are held against.
import { run } from "../toolchain/run.ts";
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
  /** Id of the key that signed it, whether or not that key is known here; "" when it is not signed. */
  readonly signatureKey: string;
}

/**
 * @param revision id, tag or `HEAD`
 * @throws Error with git's words when there is no such commit in the clone, or it is signed and no program here tells by what key
 */
export async function commitOf(clone: string, revision: string): Promise<Commit> {
  // ^{commit}: a text that git would take for a flag or a range is none of these.
  const id = (await git(clone, "rev-parse", "--verify", "--end-of-options", `${revision}^{commit}`)).trim();
  // Without a list of signers git tells the key of an SSH signature only when it is given an empty one.
  const anySigner = ["-c", "gpg.ssh.allowedSignersFile=/dev/null"];
  const [authorEmail = "", authorTime = "", commitTime = "", signatureKey = ""] = await fieldsOf(
    clone,
    id,
    ["%ae", "%at", "%ct", "%GK"],
    anySigner,
  );
  if (signatureKey === "" && (await hasSignature(clone, id))) {
    throw new Error(
      `commit ${id} is signed, but nothing here tells by which key: install gpg (or ssh-keygen, for an SSH key)`,
    );
  }
  const tags = await git(clone, "tag", "--points-at", id, "--sort=-version:refname");
  return { id, authorEmail, authorTime, commitTime, tags: tags.split("\n").filter((tag) => tag !== ""), signatureKey };
}

/**
 * Fields of a commit by git's own format, one each.
 * @param placeholders such as `%ae`; of things that are one line
 */
export async function fieldsOf(
  clone: string,
  id: string,
  placeholders: readonly string[],
  settings: readonly string[] = [],
): Promise<readonly string[]> {
  // A user may have set that signatures are shown before the fields.
  const plain = ["log", "-1", "--no-show-signature", `--format=${placeholders.join("%n")}`, id];
  return (await git(clone, ...settings, ...plain)).split("\n").slice(0, placeholders.length);
}

async function hasSignature(clone: string, id: string): Promise<boolean> {
  const [header = ""] = (await git(clone, "cat-file", "commit", id)).split("\n\n");
  return /^gpgsig(-sha256)? /m.test(header);
}

/** Runs git where it may well say no, and tells what it said. */
export function askGit(clone: string, ...args: readonly string[]) {
  return run("git", [...asTheyAre, ...args], { cwd: clone, env: process.env });
}

function git(clone: string, ...args: readonly string[]): Promise<string> {
  return output("git", [...asTheyAre, ...args], { cwd: clone });
}

/** The objects themselves, not what a clone may have put in their place. */
const asTheyAre = ["--no-replace-objects"];

/** True when the working tree holds what the commit does not. */
export async function isDirty(clone: string): Promise<boolean> {
  return (await output("git", ["status", "--porcelain"], { cwd: clone })) !== "";
}
