// `make verify-image`: accepts the image of a signed commit wherever it lies, and says what does not agree when a label, the
// key or the commit is not what it should be.
import { join } from "node:path";
import { beforeAll, expect, inject, test } from "vitest";
import { output } from "../../tools/image/output.ts";
import { run } from "../../tools/toolchain/run.ts";
import { pushArchive } from "./global-setup.ts";

const { archives, clones, crane, env, registry, author, directory, tag } = inject("image");
const image = `${registry}/second:test`;

beforeAll(() => pushArchive(crane, archives[1], image));

/** Runs the program of the second clone, as `make` would, and tells its exit code before what it said. */
async function verify(name: string, changes: NodeJS.ProcessEnv = {}): Promise<string> {
  const program = join(clones[1], "tools", "image", "verify-image.ts");
  const tell = `"$@"; echo "exit $?"`;
  const { output: said } = await run("sh", ["-c", tell, "sh", process.execPath, program, name], {
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

test("a key that this machine does not know is not believed", async () => {
  const said = await verify(image, { GNUPGHOME: join(directory, "nobody") });
  expect(said).toMatch(/DIFFERS +the signature of the commit cannot be verified .*gpg --recv-keys [0-9A-F]{16}/);
  expect(said).toMatch(/exit 1\n$/);
});

test("a good signature by the key of somebody else than the author", async () => {
  const labels = await commitAnother(["--author=Somebody Else <else@example.com>", `--gpg-sign=${author}`]);
  const said = await verify(await relabelled("else", labels));
  expect(said).toContain(`the key is not of the author else@example.com, but of The Author <${author}>`);
  expect(said).toMatch(/exit 1\n$/);
});

test("a commit that is not signed: the rest agrees, and the exit code is one of its own", async () => {
  const said = await verify(await relabelled("unsigned", { ...(await commitAnother([])), SIGNATURE_KEY: "" }));
  expect(said).not.toContain("DIFFERS");
  expect(said).toContain("the commit is not signed: nothing to compare");
  expect(said).toMatch(/exit 3\n$/);
});

/** A commit in the clone. @returns the labels of an image of it */
async function commitAnother(flags: readonly string[]): Promise<Record<string, string>> {
  const identity = ["-c", "user.name=The Author", "-c", `user.email=${author}`];
  const git = (...args: string[]) => output("git", args, { cwd: clones[1], env });
  await git(...identity, "commit", "--quiet", "--allow-empty", "--message=another", ...flags);
  const [id = "", email = "", time = ""] = (await git("log", "-1", "--format=%H%n%ae%n%at")).split("\n");
  return {
    GIT_COMMIT: id,
    AUTHOR_EMAIL: email,
    COMMIT_TIMESTAMP: time,
    GIT_TAG: "",
    "org.opencontainers.image.revision": id,
  };
}
