// `make verify-image IMAGE=…`: holds an image's labels against the commit that they name, in this clone: author, time, tag,
// signature and key, as the original's users did by hand. It shows what the image says of itself to be consistent; who built
// it is shown by cosign (docs/concepts/supply-chain.md).
// Exit code (make's own is 2 whatever it is) 0: all agrees; 1: something does not; 3: nothing differs, but nothing shows that
// the author signed the commit: there is no signature, or nobody vouches for the key; 2: wrong call.
import { join } from "node:path";
import { askGit, type Commit, commitOf, fieldsOf } from "./commit.ts";
import { findLabels, type Labelled } from "./labels.ts";
import { output } from "./output.ts";

/** One comparison. */
export interface Finding {
  readonly agrees: boolean | "not shown";
  readonly text: string;
}

/**
 * Compares one image with the clone.
 * @param keys fingerprints of the keys that the caller vouches for
 * @throws Error when git or gpg cannot be run
 */
export async function verify(
  labels: Labelled["labels"],
  clone: string,
  keys: readonly string[],
): Promise<readonly Finding[]> {
  const named = labels["GIT_COMMIT"] ?? "";
  if (!/^[0-9a-f]{40,64}$/.test(named)) {
    const why = named.endsWith("-dirty") ? "it was built with changes that no commit holds" : "that is no commit's id";
    return [{ agrees: false, text: `GIT_COMMIT is ${JSON.stringify(named)}: ${why}` }];
  }
  const exists = await askGit(clone, "cat-file", "-e", `${named}^{commit}`);
  if (!exists.ok) {
    return [{ agrees: false, text: `commit ${named} is not in this clone; if it should be: git fetch --tags origin` }];
  }
  const commit = await commitOf(clone, named);
  if (commit.id !== named) return [{ agrees: false, text: `GIT_COMMIT is ${named}, which is a tag of ${commit.id}` }];
  return [
    { agrees: true, text: `GIT_COMMIT: ${named} is in this clone` },
    ...compare(labels, commit),
    ...(await signature(labels, commit, clone, keys)),
  ];
}

function compare(labels: Labelled["labels"], commit: Commit): Finding[] {
  const same = (label: string, theirs: string): Finding => {
    const agrees = labels[label] === theirs;
    const text = agrees
      ? `${label}: ${theirs}`
      : `${label} is ${quote(labels[label])}, the commit has ${quote(theirs)}`;
    return { agrees, text };
  };
  // Images of the original have the labels of its own names only.
  const revision = "org.opencontainers.image.revision";
  return [
    same("AUTHOR_EMAIL", commit.authorEmail),
    same("COMMIT_TIMESTAMP", commit.authorTime),
    ...(labels[revision] === undefined ? [] : [same(revision, commit.id)]),
    tag(labels["GIT_TAG"] ?? "", commit),
  ];
}

function tag(label: string, { tags }: Commit): Finding {
  const has = tags.length === 0 ? "no tag" : `the tag ${tags.join(", ")}`;
  if (label === "") return { agrees: true, text: `GIT_TAG: none; in this clone the commit has ${has}` };
  if (tags.includes(label)) return { agrees: true, text: `GIT_TAG: ${label} is a tag of the commit` };
  return { agrees: false, text: `GIT_TAG is ${quote(label)}, in this clone the commit has ${has}` };
}

async function signature(
  labels: Labelled["labels"],
  commit: Commit,
  clone: string,
  keys: readonly string[],
): Promise<Finding[]> {
  // The original wrote "undefined" when there was no key.
  const label = (labels["SIGNATURE_KEY"] ?? "").replace(/^undefined$/, "");
  const key = commit.signatureKey;
  if (label !== key) {
    const has = key === "" ? "is not signed" : `is signed with ${key}`;
    return [{ agrees: false, text: `SIGNATURE_KEY is ${quote(label)}, the commit ${has}` }];
  }
  if (key === "") {
    return [{ agrees: "not shown", text: "SIGNATURE_KEY: none, and the commit is not signed: nothing to compare" }];
  }
  const { ok, output: said } = await askGit(clone, "verify-commit", commit.id);
  if (!ok) {
    const hint = isSsh(key)
      ? "if you trust the key, list it in the file that gpg.ssh.allowedSignersFile names"
      : `if you trust the key ${key}, import it: gpg --recv-keys ${key}`;
    return [{ agrees: false, text: `the signature of the commit cannot be verified (${hint}):\n${said.trimEnd()}` }];
  }
  return signer(commit, clone, keys);
}

/** Who it is that made a good signature, and who says so. */
async function signer(commit: Commit, clone: string, keys: readonly string[]): Promise<Finding[]> {
  const fields = ["%GF", "%GP", "%GS"];
  const [fingerprint = "", primary = "", principal = ""] = await fieldsOf(clone, commit.id, fields);
  // A principal is one whom the user's own list of signers names.
  const owners = isSsh(fingerprint) ? [{ name: principal, isVouchedFor: true }] : await ownersOf(fingerprint);
  const named = owners.map(({ name }) => name).join(", ") || "nobody";
  const good: Finding = {
    agrees: true,
    text: `SIGNATURE_KEY: the commit has a good signature with ${primary || fingerprint} of ${named}`,
  };
  const authors = owners.filter(({ name }) => addressOf(name) === commit.authorEmail);
  if (authors.length === 0) {
    return [good, { agrees: false, text: `the key is not of the author ${commit.authorEmail}, but of ${named}` }];
  }
  if (keys.includes(fingerprint) || keys.includes(primary)) {
    return [good, { agrees: true, text: "the key is the author's, and the one that you named" }];
  }
  if (keys.length > 0) return [good, { agrees: false, text: "the key is none of those that you named" }];
  if (authors.some(({ isVouchedFor }) => isVouchedFor)) {
    return [good, { agrees: true, text: "the key is the author's, as those say whom you trust" }];
  }
  const how = `compare its fingerprint with what the author publishes, then say KEY=${primary || fingerprint}`;
  return [good, { agrees: "not shown", text: `nobody whom you trust vouches that the key is the author's: ${how}` }];
}

interface Owner {
  /** `Name <address>`, or an address. */
  readonly name: string;
  /** Whether somebody whom the user trusts says that the key is this one's: a key may name whom it likes. */
  readonly isVouchedFor: boolean;
}

/** Everybody whom a key of gpg's names, but for names that were taken back, ran out or are no good. */
async function ownersOf(fingerprint: string): Promise<Owner[]> {
  const listed = await output("gpg", ["--batch", "--with-colons", "--list-keys", fingerprint]);
  return listed
    .split("\n")
    .map((line) => line.split(":"))
    .filter(([kind, validity = ""]) => kind === "uid" && !/[rein]/.test(validity))
    .map(([, validity = "", ...fields]) => ({ name: fields[7] ?? "", isVouchedFor: /[fu]/.test(validity) }));
}

function addressOf(owner: string): string {
  return /<([^<>]*)>$/.exec(owner)?.[1] ?? owner;
}

function isSsh(key: string): boolean {
  return key.startsWith("SHA256:");
}

function quote(value: string | undefined): string {
  return value === undefined || value === "" ? "absent" : JSON.stringify(value);
}

async function main(image: string | undefined, keys: readonly string[]): Promise<number> {
  if (!image) {
    process.stderr.write("usage: make verify-image IMAGE=<name, OCI layout or archive> [KEY=<fingerprint>,…]\n");
    return 2;
  }
  const findings: Finding[] = [];
  for (const { architecture, labels } of await findLabels(image)) {
    process.stdout.write(`${image} (${architecture})\n`);
    for (const finding of await verify(labels, join(import.meta.dirname, "..", ".."), keys)) {
      findings.push(finding);
      process.stdout.write(`  ${finding.agrees === true ? "agrees" : finding.agrees || "DIFFERS"}  ${finding.text}\n`);
    }
  }
  if (findings.length === 0 || findings.some(({ agrees }) => agrees === false)) return 1;
  return findings.some(({ agrees }) => agrees === "not shown") ? 3 : 0;
}

/** Fingerprints as people write them: with blanks, in small letters. */
function keysIn(text = ""): string[] {
  const keys = text.split(",").map((key) => key.replaceAll(/\s/g, ""));
  return keys.filter((key) => key !== "").map((key) => (isSsh(key) ? key : key.toUpperCase()));
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv[2], keysIn(process.argv[3]));
  } catch (error) {
    process.stderr.write(`make verify-image: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
