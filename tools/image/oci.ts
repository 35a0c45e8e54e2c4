// OCI image layouts on disk, the few lines of the format that we need: written for the bases of builds that reach no outside
// registry (local-base.ts), read by verify-image and the tests. A layout is a directory, or a tar archive of it.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { output } from "./output.ts";

/** A reference to a blob. */
interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** One image of a layout, which may hold one for each platform. */
export interface LayoutImage {
  /** `amd64`, `arm64` */
  readonly architecture: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly user: string;
  readonly entrypoint: readonly string[];
  /** `NAME=value` lines */
  readonly env: readonly string[];
  /** Of the uncompressed layers, lowest first. */
  readonly diffIds: readonly string[];
  /** Of the layers as they are stored, lowest first. */
  readonly layers: readonly Descriptor[];
}

interface Index {
  readonly manifests: readonly Descriptor[];
}

interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

interface ImageConfig {
  readonly architecture: string;
  readonly rootfs: { readonly diff_ids: readonly string[] };
  readonly config?: {
    readonly Labels?: Readonly<Record<string, string>>;
    readonly User?: string;
    readonly Entrypoint?: readonly string[];
    readonly Env?: readonly string[];
  };
}

const types = {
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

/**
 * The images of a layout.
 * @param layout a directory, or a tar archive of one
 * @throws Error when there is no layout
 */
export async function readLayout(layout: string): Promise<LayoutImage[]> {
  const isArchive = (await stat(layout)).isFile();
  const read = async (name: string): Promise<unknown> => {
    const text = isArchive ? await memberOf(layout, name) : await readFile(join(layout, name), "utf8");
    return JSON.parse(text);
  };
  const blob = (digest: string) => read(`blobs/${digest.replace(":", "/")}`);
  const images: LayoutImage[] = [];
  const pending = [...((await read("index.json")) as Index).manifests];
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    const content = (await blob(next.digest)) as Index | Manifest;
    if ("manifests" in content) pending.push(...content.manifests);
    else images.push(imageOf(content, (await blob(content.config.digest)) as ImageConfig));
  }
  return images;
}

/** Some pack `index.json`, some `./index.json`. */
async function memberOf(archive: string, name: string): Promise<string> {
  try {
    return await output("tar", ["-xOf", archive, name]);
  } catch {
    return output("tar", ["-xOf", archive, `./${name}`]);
  }
}

function imageOf({ layers }: Manifest, { architecture, rootfs, config = {} }: ImageConfig): LayoutImage {
  return {
    architecture,
    labels: config.Labels ?? {},
    user: config.User ?? "",
    entrypoint: config.Entrypoint ?? [],
    env: config.Env ?? [],
    diffIds: rootfs.diff_ids,
    layers,
  };
}

/** What an archive is to hold. */
export interface RootFilesystem {
  /** `amd64`, `arm64` */
  readonly architecture: string;
  /** The directory that becomes the one layer. */
  readonly root: string;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Writes an archive with one image, for one platform: buildah mixes up those of an archive that has several. */
export async function writeArchive(archive: string, { architecture, root, config }: RootFilesystem): Promise<void> {
  const layout = `${archive}.layout`;
  await mkdir(join(layout, "blobs", "sha256"), { recursive: true });
  const layer = await writeLayer(layout, root);
  const image = {
    architecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: [layer.digest] },
    history: [{ created_by: "tools/image/local-base.ts" }],
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: await writeJson(layout, types.config, image),
    layers: [layer],
  };
  const described = {
    ...(await writeJson(layout, types.manifest, manifest)),
    platform: { os: "linux", architecture },
  };
  await writeFile(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests: [described] }));
  await writeFile(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  await pack(layout, archive);
  await rm(layout, { recursive: true });
}

async function writeJson(layout: string, mediaType: string, content: object): Promise<Descriptor> {
  const bytes = Buffer.from(JSON.stringify(content));
  const hash = createHash("sha256").update(bytes).digest("hex");
  await writeFile(join(layout, "blobs", "sha256", hash), bytes);
  return { mediaType, digest: `sha256:${hash}`, size: bytes.length };
}

async function writeLayer(layout: string, root: string): Promise<Descriptor> {
  const file = join(layout, "layer.tar");
  await pack(root, file);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  const digest = hash.digest("hex");
  const { size } = await stat(file);
  await rename(file, join(layout, "blobs", "sha256", digest));
  return { mediaType: types.layer, digest: `sha256:${digest}`, size };
}

/** The same files make the same archive. */
async function pack(directory: string, archive: string): Promise<void> {
  const sameEachTime = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
  await output("tar", [...sameEachTime, "-C", directory, "-cf", archive, "."]);
}
