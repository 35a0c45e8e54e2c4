// `make verify-image IMAGE=…`: holds an image's labels against the commit that they name, in this clone: author, time, tag,
// signature and key, as the original's users did by hand. It shows what the image says of itself to be consistent; who built
// it is shown by cosign (docs/concepts/supply-chain.md).
// Exit code 0: all agrees; 1: something does not; 3: all agrees, but the commit is not signed; 2: wrong call.
import { join } from "node:path";
import { run } from "../toolchain/run.ts";
import { type Commit, commitOf } from "./commit.ts";
import { findLabels, type Labelled } from "./labels.ts";
import { output } from "./output.ts";

/** One comparison. */
export interface Finding {
  readonly agrees: boolean | "not signed";
  readonly text: string;
}

/**
 * Compares one image with the clone.
 * @throws Error when git or gpg cannot be run
 */
export async function verify(labels: Labelled["labels"], clone: string): Promise<readonly Finding[]> {
  const named = labels["GIT_COMMIT"] ?? "";
  if (!/^[0-9a-f]{40,64}$/.test(named)) {
    const why = named.endsWith("-dirty") ? "it was built with changes that no commit holds" : "that is no commit's id";
    return [{ agrees: false, text: `GIT_COMMIT is ${JSON.stringify(named)}: ${why}` }];
  }
  let commit: Commit;
  try {
    commit = await commitOf(clone, named);
  } catch {
    return [{ agrees: false, text: `commit ${named} is not in this clone; if it should be: git fetch --tags origin` }];
  }
  return [
    { agrees: true, text: `GIT_COMMIT: ${named} is in this clone` },
    ...compare(labels, commit),
    ...(await signature(labels, commit, clone)),
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

async function signature(labels: Labelled["labels"], commit: Commit, clone: string): Promise<Finding[]> {
  // The original wrote "undefined" when there was no key.
  const label = (labels["SIGNATURE_KEY"] ?? "").replace(/^undefined$/, "");
  const key = commit.signatureKey;
  if (label !== key) {
    const has = key === "" ? "is not signed" : `is signed with ${key}`;
    return [{ agrees: false, text: `SIGNATURE_KEY is ${quote(label)}, the commit ${has}` }];
  }
  if (key === "") {
    return [{ agrees: "not signed", text: "SIGNATURE_KEY: none, and the commit is not signed: nothing to compare" }];
  }
  const { ok, output: said } = await run("git", ["verify-commit", commit.id], { cwd: clone, env: process.env });
  if (!ok) {
    const hint = `if you trust the key ${key}, import it: gpg --recv-keys ${key}`;
    return [{ agrees: false, text: `the signature of the commit cannot be verified (${hint}):\n${said.trimEnd()}` }];
  }
  const owners = await ownersOf(key, commit, clone);
  const theirs = owners.some((owner) => owner.includes(`<${commit.authorEmail}>`) || owner === commit.authorEmail);
  const of = `${key} of ${owners.join(", ")}`;
  return [
    { agrees: true, text: `SIGNATURE_KEY: the commit has a good signature with ${of}` },
    theirs
      ? { agrees: true, text: "the key is the author's" }
      : { agrees: false, text: `the key is not of the author ${commit.authorEmail}, but of ${owners.join(", ")}` },
  ];
}

/** Everybody whom the key names: `Name <address>`; for an SSH key the principal. */
async function ownersOf(key: string, commit: Commit, clone: string): Promise<string[]> {
  if (key.startsWith("SHA256:"))
    return [(await output("git", ["log", "-1", "--format=%GS", commit.id], { cwd: clone })).trim()];
  const listed = await output("gpg", ["--batch", "--with-colons", "--list-keys", key]);
  return listed
    .split("\n")
    .filter((line) => line.startsWith("uid:"))
    .map((line) => line.split(":")[9] ?? "");
}

function quote(value: string | undefined): string {
  return value === undefined || value === "" ? "absent" : JSON.stringify(value);
}

async function main(image: string | undefined): Promise<number> {
  if (!image) {
    process.stderr.write("usage: make verify-image IMAGE=<name, OCI layout or archive>\n");
    return 2;
  }
  const findings: Finding[] = [];
  for (const { architecture, labels } of await findLabels(image)) {
    process.stdout.write(`${image} (${architecture})\n`);
    for (const finding of await verify(labels, join(import.meta.dirname, "..", ".."))) {
      findings.push(finding);
      process.stdout.write(`  ${finding.agrees === true ? "agrees" : finding.agrees || "DIFFERS"}  ${finding.text}\n`);
    }
  }
  if (findings.length === 0 || findings.some(({ agrees }) => agrees === false)) return 1;
  return findings.some(({ agrees }) => agrees === "not signed") ? 3 : 0;
}

if (import.meta.main) {
  try {
    process.exitCode = await main(process.argv[2]);
  } catch (error) {
    process.stderr.write(`make verify-image: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
