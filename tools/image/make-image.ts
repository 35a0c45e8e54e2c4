// `make image`: builds the image of the commit that is checked out, with labels that say so, by docker buildx or buildah.
// The same commit on the same base makes the same layers with the same build program: file times are the commit's.
// Variables: IMAGE (name), PLATFORM (linux/amd64,linux/arm64), BASE_IMAGE, BUILD_IMAGE, OUTPUT (an OCI archive to write).
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "../toolchain/run.ts";
import { type Commit, commitOf, isDirty } from "./commit.ts";

/** What is to be built; what is absent is up to the Dockerfile or the machine. */
export interface ImageRequest {
  /** The checkout. */
  readonly root: string;
  readonly env: NodeJS.ProcessEnv;
  /** Default: docker.io/patoarvizu/kms-vault-operator with the version when the commit is tagged so, else the commit's id. */
  readonly name?: string;
  /** One or several: `linux/amd64,linux/arm64`. */
  readonly platform?: string;
  readonly baseImage?: string;
  readonly buildImage?: string;
  /** Path of an OCI archive to write. */
  readonly output?: string;
}

type Builder = "buildx" | "buildah";

const repository = "docker.io/patoarvizu/kms-vault-operator";

/**
 * Builds the image, with the builder's own output on stderr.
 * @returns its name
 * @throws Error when there is no builder, or the build fails
 */
export async function makeImage(request: ImageRequest): Promise<string> {
  const commit = await commitOf(request.root, "HEAD");
  const dirty = await isDirty(request.root);
  if (dirty) process.stderr.write("there are changes without a commit: the label GIT_COMMIT ends in -dirty\n");
  const tag = versionTag(request.root, commit, dirty);
  const name = request.name ?? `${repository}:${tag ?? `${commit.id}${dirty ? "-dirty" : ""}`}`;
  const labels = labelsOf(commit, dirty, tag);
  const builder = await findBuilder(request.env);
  for (const [program, ...args] of commands(builder, { ...request, name }, labels, commit.commitTime)) {
    await must(program ?? "", args, request, commit.commitTime);
  }
  return name;
}

/** The tag that names the version; else the first of the commit. Changes without a commit are no tag's. */
function versionTag(root: string, { tags }: Commit, dirty: boolean): string | undefined {
  if (dirty) return undefined;
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { readonly version: string };
  return tags.find((tag) => tag === `v${version}`) ?? tags[0];
}

function labelsOf(commit: Commit, dirty: boolean, tag: string | undefined): Record<string, string> {
  return {
    GIT_COMMIT: dirty ? `${commit.id}-dirty` : commit.id,
    COMMIT_TIMESTAMP: commit.authorTime,
    AUTHOR_EMAIL: commit.authorEmail,
    ...(tag !== undefined && { GIT_TAG: tag }),
    ...(!dirty && commit.signatureKey !== "" && { SIGNATURE_KEY: commit.signatureKey }),
  };
}

async function findBuilder(env: NodeJS.ProcessEnv): Promise<Builder> {
  const works = async (...[program, ...args]: [string, ...string[]]) => (await run(program, args, { env })).ok;
  if ((await works("docker", "buildx", "version")) && (await works("docker", "version"))) return "buildx";
  if (await works("buildah", "--version")) return "buildah";
  throw new Error(
    "nothing here builds images: install Docker with buildx (and start its engine), or buildah (apt-get install buildah)",
  );
}

function commands(
  builder: Builder,
  request: ImageRequest & { readonly name: string },
  labels: Readonly<Record<string, string>>,
  time: string,
): readonly (readonly string[])[] {
  const { name, platform, output } = request;
  const bases = { BASE_IMAGE: request.baseImage, BUILD_IMAGE: request.buildImage };
  const build = [
    ...Object.entries({ ...labels, ...bases }).flatMap(([key, value]) =>
      value ? ["--build-arg", `${key}=${value}`] : [],
    ),
    ...secrets(request.env),
    ...(platform ? ["--platform", platform] : []),
  ];
  if (builder === "buildx") {
    const target = output ? `type=oci,dest=${output}` : "type=docker";
    const plain = ["--provenance=false", "--output", `${target},name=${name},rewrite-timestamp=true`];
    return [["docker", "buildx", "build", ...build, ...plain, "."]];
  }
  const several = platform?.includes(",") ?? false;
  // Named, because not every buildah knows it.
  const own = ["--build-arg", `BUILDPLATFORM=linux/${process.arch === "x64" ? "amd64" : process.arch}`];
  const made = ["buildah", "build", ...own, ...build, "--timestamp", time, several ? "--manifest" : "--tag", name, "."];
  if (!output) return [made];
  const push = several ? ["buildah", "manifest", "push", "--all"] : ["buildah", "push"];
  return [made, [...push, name, `oci-archive:${output}:${name}`]];
}

/** The machine's settings for npm and the authorities that it trusts reach the build, and stay out of the image. */
function secrets(env: NodeJS.ProcessEnv): string[] {
  const files = { npmrc: join(homedir(), ".npmrc"), authorities: env["NODE_EXTRA_CA_CERTS"] };
  return Object.entries(files).flatMap(([id, src]) =>
    src && existsSync(src) ? ["--secret", `id=${id},src=${src}`] : [],
  );
}

async function must(program: string, args: readonly string[], { root, env }: ImageRequest, time: string) {
  const child = spawn(program, args, {
    cwd: root,
    env: { ...env, SOURCE_DATE_EPOCH: time },
    // 2: what a program prints for people is no result of ours.
    stdio: ["ignore", 2, 2],
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${program} ${args[0]} failed (exit code ${code}); its own words stand above`);
}

if (import.meta.main) {
  const { IMAGE, PLATFORM, BASE_IMAGE, BUILD_IMAGE, OUTPUT } = process.env;
  try {
    const name = await makeImage({
      root: join(import.meta.dirname, "..", ".."),
      env: process.env,
      ...(IMAGE && { name: IMAGE }),
      ...(PLATFORM && { platform: PLATFORM }),
      ...(BASE_IMAGE && { baseImage: BASE_IMAGE }),
      ...(BUILD_IMAGE && { buildImage: BUILD_IMAGE }),
      ...(OUTPUT && { output: OUTPUT }),
    });
    process.stdout.write(`${name}\n`);
  } catch (error) {
    process.stderr.write(`make image: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}
