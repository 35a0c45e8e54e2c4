// What the image is: the same from every build of a commit, for each platform on a base of that platform, small, labelled, and
// nothing in it but what runs.
import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, inject, test } from "vitest";
import { commitOf } from "../../tools/image/commit.ts";
import { type LayoutImage, readLayout } from "../../tools/image/oci.ts";
import { output } from "../../tools/image/output.ts";

const { archives, bases, clones, author, tag, root } = inject("image");
let first: readonly LayoutImage[];
let again: LayoutImage;

beforeAll(async () => {
  first = await readLayout(archives[0]);
  const [second] = await readLayout(archives[1]);
  if (second === undefined) throw new Error(`${archives[1]} holds no image`);
  again = second;
});

test("two builds of a commit, in clones at other places with other umasks, have the same layers", () => {
  const same = first.find(({ architecture }) => architecture === again.architecture);
  expect(same?.diffIds).toEqual(again.diffIds);
  expect(same?.layers).toEqual(again.layers);
});

test("amd64 and arm64: each on the base of its platform, with the same files of ours", async () => {
  expect(first.map(({ architecture }) => architecture).toSorted()).toEqual(["amd64", "arm64"]);
  for (const { architecture, diffIds } of first) {
    const [base] = await readLayout(bases[architecture as keyof typeof bases]);
    expect(diffIds).toHaveLength(2);
    expect(diffIds[0]).toBe(base?.diffIds[0]);
    expect(diffIds[1]).toBe(again.diffIds[1]);
  }
});

test("is smaller than 200 MB, unpacked", async () => {
  for (const { architecture, layers } of first) {
    let bytes = 0;
    for (const { digest } of layers) bytes += await unpackedSize(digest);
    process.stdout.write(`${architecture}: ${(bytes / 1e6).toFixed(0)} MB\n`);
    expect(bytes).toBeLessThan(200e6);
    expect(bytes).toBeGreaterThan(50e6);
  }
});

test("has the labels of its commit, the original's and the common ones, and starts as the original did", async () => {
  const commit = await commitOf(clones[0], "HEAD");
  for (const { labels, user, entrypoint } of first) {
    expect(labels).toMatchObject({
      AUTHOR_EMAIL: author,
      COMMIT_TIMESTAMP: commit.authorTime,
      GIT_COMMIT: commit.id,
      GIT_TAG: tag,
      SIGNATURE_KEY: commit.signatureKey,
      "org.opencontainers.image.revision": commit.id,
      "org.opencontainers.image.version": tag,
      "org.opencontainers.image.licenses": "Apache-2.0",
    });
    expect(commit.signatureKey).toMatch(/^[0-9A-F]{16}$/);
    expect({ user, entrypoint }).toEqual({ user: "65532:65532", entrypoint: ["/manager"] });
  }
});

test("on top of the base are the program, its licences and the names that start it, root's and not to be changed", async () => {
  const digest = again.layers[1]?.digest ?? "";
  const script = 'tar -xOf "$1" "blobs/sha256/$2" | tar -tvz --numeric-owner';
  const listing = await output("sh", ["-c", script, "sh", archives[1], digest.slice("sha256:".length)]);
  const files = listing
    .trimEnd()
    .split("\n")
    .map((line) => /^(\S+) (\S+) +\S+ \S+ \S+ (.+)$/.exec(line)?.slice(1) ?? [line]);
  for (const [mode, owner, name] of files) {
    expect({ name, owner }).toEqual({ name, owner: "0/0" });
    expect(mode, name).toMatch(/^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x|lrwxrwxrwx)$/);
  }
  const names = files.filter(([mode]) => !mode?.startsWith("d")).map(([, , name]) => name ?? "");
  expect(names.filter((name) => !name.startsWith("app/dist/")).toSorted()).toEqual([
    "app/LICENSE",
    "app/bin/kms-vault-operator",
    "app/bin/runtime",
    "app/package.json",
    "kms-vault-validating-webhook -> /app/bin/kms-vault-operator",
    "manager -> /app/bin/kms-vault-operator",
    "usr/local/bin/kms-vault-operator -> /app/bin/kms-vault-operator",
  ]);
  const dist = names.filter((name) => name.startsWith("app/dist/")).map((name) => name.slice("app/dist/".length));
  const kinds =
    /^((chunks\/[\w-]+|kms-vault-operator)\.js(\.map|\.LEGAL\.txt)?|THIRD-PARTY-LICENSES|kms-vault-operator\.cdx\.json)$/;
  expect(dist.filter((name) => !kinds.test(name))).toEqual([]);
  expect(dist).toContain("THIRD-PARTY-LICENSES");
});

test("has no shell and no package manager", async () => {
  const unwanted = new Set([
    "sh",
    "bash",
    "dash",
    "ash",
    "busybox",
    "npm",
    "npx",
    "corepack",
    "yarn",
    "apt",
    "apt-get",
    "dpkg",
  ]);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const programs = entries.filter((entry) => !entry.isDirectory() && unwanted.has(basename(entry.name)));
  expect(programs.map(({ parentPath, name }) => join(parentPath, name))).toEqual([]);
  expect(entries.length).toBeGreaterThan(1_000);
});

async function unpackedSize(digest: string): Promise<number> {
  const script = 'tar -xOf "$1" "blobs/sha256/$2" | gzip -dc | wc -c';
  const args = ["-c", script, "sh", archives[0], digest.slice("sha256:".length)];
  return Number((await promisify(execFile)("sh", args)).stdout);
}
