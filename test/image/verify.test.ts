// `make verify-image`: accepts the image of a signed commit wherever it lies, and says what does not agree when a label, the
// key or the commit is not what it should be.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { commitOf } from "../../tools/image/commit.ts";
import { output } from "../../tools/image/output.ts";
import { run } from "../../tools/toolchain/run.ts";

const { archives, clones, crane, env, registry, image, author, directory, tag } = inject("image");

/** Runs the program of the second clone, as `make` would, and tells its exit code before what it said. */
async function verify(name: string, changes: NodeJS.ProcessEnv = {}, key = ""): Promise<string> {
  const program = join(clones[1], "tools", "image", "verify-image.ts");
  const tell = `"$@"; echo "exit $?"`;
  const { output: said } = await run("sh", ["-c", tell, "sh", process.execPath, program, name, key], {
    env: { ...env, ...changes },
  });
  return said;
}

/** The image with other labels. @returns its name */
async function relabelled(name: string, labels: Readonly<Record<string, string>>): Promise<string> {
  const flags = Object.entries(labels).flatMap(([key, value]) => ["--label", `${key}=${value}`]);
  await output(crane, ["mutate", image, ...flags, "--tag", `${registry}/${name}:test`]);
  return `${registry}/${name}:test`;
}

test("an archive for several platforms: all of them agree", async () => {
  const said = await verify(archives[0]);
  expect(said).toContain("(amd64)");
  expect(said).toContain("(arm64)");
  expect(said).toContain(`GIT_TAG: ${tag} is a tag of the commit`);
  expect(said).toContain(`of The Author <${author}>`);
  expect(said).not.toContain("DIFFERS");
  expect(said).toMatch(/exit 0\n$/);
});

test.each([
  ["Buildah's storage", "localhost/second:test"],
  ["a registry", image],
])("%s", async (_, name) => {
  const said = await verify(name);
  expect(said).not.toContain("DIFFERS");
  expect(said).toMatch(/exit 0\n$/);
});

test.each([
  ["AUTHOR_EMAIL", "mallory@example.com"],
  ["COMMIT_TIMESTAMP", "1"],
  ["GIT_TAG", "v99.0.0"],
  ["SIGNATURE_KEY", "0123456789ABCDEF"],
  ["SIGNATURE_KEY", ""],
  ["org.opencontainers.image.revision", "0".repeat(40)],
  ["GIT_COMMIT", "0".repeat(40)],
  ["GIT_COMMIT", "unspecified"],
  ["GIT_COMMIT", "--output=x"],
])("the label %s says %j: refused", async (label, value) => {
  const said = await verify(await relabelled("tampered", { [label]: value }));
  expect(said).toMatch(/DIFFERS .*\n(.*\n)*exit 1\n$/);
  if (label !== "GIT_COMMIT") expect(said).toMatch(new RegExp(`DIFFERS +${label.replaceAll(".", "\\.")} is `));
});

test("an image that is nowhere: every place is named", async () => {
  const said = await verify(`${registry}/nowhere:test`);
  expect(said).toMatch(/nowhere:test is not to be found\n {2}Docker: .+\n {2}Buildah: .+\n {2}the registry: .+/);
  expect(said).toMatch(/exit 1\n$/);
});

test("settings of the user, who has signatures shown, change nothing", async () => {
  const config = join(directory, "showing");
  await writeFile(config, "[log]\n  showSignature = true\n");
  expect(await verify(image, { GIT_CONFIG_GLOBAL: config })).toMatch(/exit 0\n$/);
});

test("the id of a tag is not that of its commit", async () => {
  const git = (...args: string[]) => output("git", [...identity, ...args], { cwd: clones[1], env });
  await git("tag", "--annotate", "--message=a tag", "annotated", tag);
  const id = (await git("rev-parse", "annotated")).trim();
  const said = await verify(await relabelled("annotated", { GIT_COMMIT: id }));
  expect(said).toMatch(/DIFFERS +GIT_COMMIT is .*, which is a tag of [0-9a-f]{40}\nexit 1\n$/);
});

describe("a key", () => {
  test("that this machine does not know is not believed", async () => {
    const said = await verify(image, { GNUPGHOME: await keyring("nobody") });
    expect(said).toMatch(/DIFFERS +the signature of the commit cannot be verified .*gpg --recv-keys [0-9A-F]{16}/);
    expect(said).toMatch(/exit 1\n$/);
  });

  test("that was imported and nobody vouches for is to be compared, and is believed once it is named", async () => {
    const GNUPGHOME = await keyring("imported", await exported(author));
    const said = await verify(image, { GNUPGHOME });
    const fingerprint =
      /nobody whom you trust vouches that the key is the author's: .* KEY=([0-9A-F]{40})\nexit 3\n$/.exec(said)?.[1];
    expect(fingerprint).toBeDefined();
    expect(await verify(image, { GNUPGHOME }, fingerprint?.toLowerCase())).toMatch(/the one that you named\nexit 0\n$/);
    expect(await verify(image, { GNUPGHOME }, "0".repeat(40))).toMatch(/none of those that you named\nexit 1\n$/);
  });

  test("of somebody else than the author is good for nothing", async () => {
    const labels = await commitAnother(["--author=Somebody Else <else@example.com>", `--gpg-sign=${author}`]);
    const said = await verify(await relabelled("else", labels));
    expect(said).toContain(`the key is not of the author else@example.com, but of The Author <${author}>`);
    expect(said).toMatch(/exit 1\n$/);
  });

  test("that once said to be the author's, and took it back, is not", async () => {
    const mallory = "mallory@example.com";
    const gpg = (...args: string[]) => output("gpg", ["--batch", "--quiet", "--passphrase", "", ...args], { env });
    await gpg("--quick-generate-key", `Mallory <${mallory}>`, "ed25519");
    await gpg("--quick-add-uid", mallory, `The Author <${author}>`);
    await gpg("--quick-revoke-uid", mallory, `The Author <${author}>`);
    const labels = await commitAnother([`--gpg-sign=${mallory}`]);
    const said = await verify(await relabelled("mallory", labels));
    expect(said).toContain(`the key is not of the author ${author}, but of Mallory <${mallory}>`);
    expect(said).toMatch(/exit 1\n$/);
  });

  test("that names the author without the author's knowledge is not vouched for, though others of its names are", async () => {
    const home = await keyring("spoofed");
    const gpg = (...args: string[]) =>
      output("gpg", ["--homedir", home, "--batch", "--quiet", "--passphrase", "", ...args]);
    const [own, spoofer] = ["own@example.com", "spoofer@example.com"];
    for (const name of [own, spoofer]) await gpg("--quick-generate-key", name, "ed25519");
    await gpg("--quick-add-uid", spoofer, `The Author <${author}>`);
    const GNUPGHOME = home;
    const labels = await commitAnother([`--gpg-sign=${spoofer}`], [], { GNUPGHOME });
    // As a key that came from elsewhere: our own vouches for one of its names.
    const fingerprint = await fingerprintOf(home, spoofer);
    const ownerTrust = join(directory, "ownertrust");
    await writeFile(ownerTrust, `${fingerprint}:2:\n`);
    await gpg("--import-ownertrust", ownerTrust);
    await gpg("--yes", "--default-key", own, "--quick-sign-key", fingerprint, spoofer);
    const said = await verify(await relabelled("spoofed", labels), { GNUPGHOME });
    expect(said).toMatch(/nobody whom you trust vouches that the key is the author's: .*\nexit 3\n$/);
  });

  test("of SSH: read without a list of signers, believed with one", async () => {
    const file = join(directory, "id_ed25519");
    await output("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
    const ssh = ["-c", "gpg.format=ssh", "-c", `user.signingKey=${file}`];
    const labels = await commitAnother(["--gpg-sign"], ssh);
    expect(labels["SIGNATURE_KEY"]).toMatch(/^SHA256:/);
    const name = await relabelled("ssh", labels);
    expect(await verify(name)).toMatch(/DIFFERS +the signature of the commit cannot be verified .*allowedSignersFile/);
    const signers = join(directory, "signers");
    await writeFile(signers, `${author} ${await readFile(`${file}.pub`, "utf8")}`);
    const config = join(directory, "signed-by-ssh");
    await writeFile(config, `[gpg "ssh"]\n  allowedSignersFile = ${signers}\n`);
    expect(await verify(name, { GIT_CONFIG_GLOBAL: config })).toMatch(/the key is the author's.*\nexit 0\n$/);
  });
});

test("a commit that is not signed: the rest agrees, and the exit code is one of its own", async () => {
  const said = await verify(await relabelled("unsigned", await commitAnother([])));
  expect(said).not.toContain("DIFFERS");
  expect(said).toContain("the commit is not signed: nothing to compare");
  expect(said).toMatch(/exit 3\n$/);
});

const identity = ["-c", "user.name=The Author", "-c", `user.email=${author}`];

/** A commit in the clone. @returns the labels of an image of it */
async function commitAnother(
  flags: readonly string[],
  settings: readonly string[] = [],
  changes: NodeJS.ProcessEnv = {},
): Promise<Record<string, string>> {
  const message = ["--quiet", "--allow-empty", "--message=another"];
  const args = [...identity, ...settings, "commit", ...message, ...flags];
  await output("git", args, { cwd: clones[1], env: { ...env, ...changes } });
  const commit = await commitOf(clones[1], "HEAD");
  return {
    GIT_COMMIT: commit.id,
    AUTHOR_EMAIL: commit.authorEmail,
    COMMIT_TIMESTAMP: commit.authorTime,
    GIT_TAG: "",
    SIGNATURE_KEY: commit.signatureKey,
    "org.opencontainers.image.revision": commit.id,
  };
}

/** Where gpg keeps the keys of somebody. */
async function keyring(name: string, ...keys: readonly string[]): Promise<string> {
  const home = join(directory, name);
  await mkdir(home, { mode: 0o700 });
  onTestFinished(async () => void (await output("gpgconf", ["--homedir", home, "--kill", "all"])));
  for (const key of keys) await output("gpg", ["--batch", "--quiet", "--homedir", home, "--import", key]);
  return home;
}

async function fingerprintOf(home: string, name: string): Promise<string> {
  const listed = await output("gpg", ["--homedir", home, "--batch", "--with-colons", "--list-keys", name]);
  return /^fpr:+(\w+):/m.exec(listed)?.[1] ?? "";
}

/** @returns a file with the public key */
async function exported(name: string): Promise<string> {
  const file = join(directory, "public-key");
  await output("gpg", ["--batch", "--output", file, "--export", name], { env });
  return file;
}
