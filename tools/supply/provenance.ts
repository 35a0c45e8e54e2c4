// Where an image comes from: an in-toto statement with a SLSA v1 provenance. It repeats what the image says of its commit
// and what its builder says of the rest; the signature that is put on it makes it that builder's word.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { output } from "../image/output.ts";
import type { Image } from "./image.ts";
import { repository } from "./names.ts";

const root = join(import.meta.dirname, "..", "..");

/** What goes into a provenance. */
export interface Build {
  readonly image: Image;
  readonly platform: string;
  /** URI of who built it: whoever verifies knows builders by it. */
  readonly builder: string;
  /** `name@sha256:…` */
  readonly baseImage: string;
  /** `name@sha256:…`, absent when the host built it. */
  readonly buildImage?: string;
  /** SHA-256 of package-lock.json in the commit. */
  readonly lock: string;
}

interface Resource {
  readonly uri: string;
  readonly name?: string;
  readonly digest: Readonly<Record<string, string>>;
}

/** An in-toto Statement v1 whose predicate is a SLSA provenance v1. */
export interface Statement {
  readonly _type: "https://in-toto.io/Statement/v1";
  readonly subject: ReadonlyArray<Omit<Resource, "uri"> & { readonly name: string }>;
  readonly predicateType: "https://slsa.dev/provenance/v1";
  readonly predicate: {
    readonly buildDefinition: {
      readonly buildType: string;
      readonly externalParameters: Readonly<Record<string, string>>;
      readonly resolvedDependencies: readonly Resource[];
    };
    readonly runDetails: { readonly builder: { readonly id: string } };
  };
}

/**
 * The statement.
 * @throws Error when the image names no commit, or an image that it was built from is not given by its digest
 */
export function provenance({ image, platform, builder, baseImage, buildImage, lock }: Build): Statement {
  const commit = commitOf(image);
  const source = `git+${repository}`;
  const images = [baseImage, ...(buildImage === undefined ? [] : [buildImage])];
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: image.name, digest: digestOf(image.digest) }],
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: `${repository}/blob/main/docs/concepts/supply-chain.md#builds-of-your-own`,
        externalParameters: { source, commit, platform, baseImage, ...(buildImage && { buildImage }) },
        resolvedDependencies: [
          { uri: `${source}@${commit}`, digest: { gitCommit: commit } },
          { uri: `${source}@${commit}#package-lock.json`, name: "package-lock.json", digest: { sha256: lock } },
          ...images.map(imageResource),
        ],
      },
      runDetails: { builder: { id: builder } },
    },
  };
}

/**
 * SHA-256 of package-lock.json as it is in the image's commit, which has to be in this clone.
 * @throws Error with what git said when it is not
 */
export async function lockDigest(image: Image): Promise<string> {
  const commit = commitOf(image);
  const lock = await output("git", ["show", `${commit}:package-lock.json`], { cwd: root });
  return createHash("sha256").update(lock).digest("hex");
}

function commitOf({ name, labels }: Image): string {
  const commit = labels["GIT_COMMIT"] ?? "";
  if (!/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(commit)) {
    throw new Error(
      `${name} was not built from a commit (label GIT_COMMIT: ${JSON.stringify(commit)}); make image, in a clean clone`,
    );
  }
  return commit;
}

function imageResource(reference: string): Resource {
  const [, name, digest] = /^([^@]+)@(sha256:[0-9a-f]{64})$/.exec(reference) ?? [];
  if (name === undefined || digest === undefined) {
    throw new Error(`${reference} can be another image tomorrow: name it with its digest, as NAME@sha256:DIGEST`);
  }
  return { uri: `docker://${name}@${digest}`, name, digest: digestOf(digest) };
}

function digestOf(digest: string): Record<string, string> {
  const [algorithm = "", value = ""] = digest.split(":");
  return { [algorithm]: value };
}
