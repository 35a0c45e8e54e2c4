// An image in a registry, as crane shows it: its digest, its labels, its files. Nothing of it is run.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { output } from "../image/output.ts";
import { timedProgress } from "../toolchain/progress.ts";
import { resolveToolchain } from "../toolchain/resolve.ts";
import { inventoryPaths } from "./root-fs.ts";

/** An image for one platform, by its digest. */
export interface Image {
  /** Without tag and digest. */
  readonly name: string;
  /** `sha256:…` of the image's manifest. */
  readonly digest: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Which image is meant. */
export interface ImageSource {
  /** The crane program. */
  readonly crane: string;
  /** `registry/name:tag` or `registry/name@sha256:…`. */
  readonly reference: string;
  /** `linux/amd64`, `linux/arm64`: of an image for several platforms, the one for this. */
  readonly platform: string;
}

/**
 * What the programs about images have in common: crane is found, errors are told in a line, and a call that makes no
 * sense gets the usage and exit code 2.
 * @param work gets the crane program; false when it was not called rightly
 */
export async function imageTool(usage: string, work: (crane: string) => Promise<boolean>): Promise<void> {
  try {
    const { crane } = await resolveToolchain(["crane"], timedProgress(process.stderr));
    if (await work(crane)) return;
    process.stderr.write(`usage: ${usage}\n`);
    process.exitCode = 2;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

/**
 * Asks the registry for the image.
 * @throws Error with what crane said when there is no such image, or when it is for another platform
 */
export async function describeImage(source: ImageSource): Promise<Image> {
  const digest = (await ask(source, "digest")).trim();
  const { os, architecture, config } = JSON.parse(await ask(source, "config"));
  // Of an image for one platform, crane says the digest whatever it is asked for.
  if (source.platform !== `${os}/${architecture}`) {
    throw new Error(`${source.reference} is for ${os}/${architecture}, not for ${source.platform}: say which is meant`);
  }
  const name = source.reference.replace(/@.*$/, "").replace(/:[^/:]+$/, "");
  return { name, digest, labels: config?.Labels ?? {} };
}

/** When the image's commit was made, as the image says it: seconds since 1970, or a time as ISO 8601 has it. */
export function madeAt({ name, labels }: Image): Date {
  const label = labels["COMMIT_TIMESTAMP"] ?? "";
  const made = new Date(/^\d+$/.test(label) ? Number(label) * 1000 : label);
  if (Number.isNaN(made.getTime())) throw new Error(`${name} does not say when it was made (label COMMIT_TIMESTAMP)`);
  return made;
}

/**
 * The files of the image that tell what is in it, in a directory that is gone with the disposal.
 * @throws Error with what crane or tar said
 */
export async function unpackInventory(source: ImageSource): Promise<AsyncDisposable & { readonly directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), "kms-vault-operator-sbom-"));
  const remove = () => rm(directory, { recursive: true, force: true });
  const crane = spawn(source.crane, ["export", "--platform", source.platform, source.reference, "-"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  // tar complains of those that the image has not; whether anything is missing is seen when they are read.
  const members = Object.values(inventoryPaths);
  const tar = spawn("tar", ["--extract", "--no-same-owner", "--directory", directory, ...members], {
    stdio: ["pipe", "ignore", "ignore"],
  });
  try {
    const [[craneCode]] = await Promise.all([
      once(crane, "close"),
      once(tar, "close"),
      pipeline(crane.stdout, tar.stdin),
    ]);
    if (craneCode !== 0) throw new Error(`crane could not read ${source.reference}`);
  } catch (error) {
    await remove();
    throw error;
  }
  return { directory, [Symbol.asyncDispose]: remove };
}

async function ask({ crane, reference, platform }: ImageSource, what: "digest" | "config"): Promise<string> {
  return output(crane, [what, "--platform", platform, reference]);
}
