// The publisher's release download: controller-runtime's envtest archive holds etcd, kube-apiserver and kubectl.
// Its hashes were read from envtest-releases.yaml of kubernetes-sigs/controller-tools, where the publisher pins them;
// no archive is opened before it has the one pinned here.
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { chmod, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { platform } from "./cache.ts";
import type { Recipe } from "./recipe.ts";
import { Unavailable } from "./recipe.ts";
import { lastLines, run } from "./run.ts";

/** A server that does not answer within this time counts as unreachable. */
const connectTimeoutMs = 4_000;
/** A download that takes longer than this is given up. */
const downloadTimeoutMs = 10 * 60_000;

const envtestVersion = "1.36.2";
const envtestSha512: Readonly<Record<string, string>> = {
  "linux-amd64":
    "ea743186c8a799f5cf8faf16969f86189d003cb7d130e0ac4b58789f1e5748dcf30ebe91c837a10d5ac415383da3e10b9e64d65785c938c23e739781cfb76f08",
  "linux-arm64":
    "2d72ee985a8e262a3c57dc9f7f0fd891f6a8c7bf7ebaa2db6dc6d8eac8ae28181afe51c1f368b67756cdb40b10de9b205609e1726e5f27f7c6d824dd9c6649ac",
  "darwin-amd64":
    "b4fe9f973cd1992e3880f8b230ed32c0c243b83371591e3e3315f4404df2cdbef8ee94eeb9bb245b7e5feb987d5c4a76c43e0877654ab73f00d7bbc2b9984514",
  "darwin-arm64":
    "9278f9e5af556b2f1f2d139769c1f0d717c7b4426917fdebdba898bcb725a916e4910d6160886194ff9be9589ea7c5c32c2b8ae0754703874b7c8ba8ddfc41ce",
};

/** etcd, kube-apiserver and kubectl in one archive. */
export const envtestDownload: Recipe = {
  title: "release download",
  directory: `envtest-${envtestVersion}`,
  programs: ["etcd", "kube-apiserver", "kubectl"],
  async fill(directory, progress) {
    const target = platform();
    const sha512 = envtestSha512[target];
    if (sha512 === undefined) throw new Unavailable(`no release download is pinned for ${target}`);
    const name = `envtest-v${envtestVersion}`;
    const url = `https://github.com/kubernetes-sigs/controller-tools/releases/download/${name}/${name}-${target}.tar.gz`;
    const archive = join(directory, "archive.tar.gz");
    progress(`${name}: trying the release download (skipped when it cannot be reached)`);
    await download(url, archive, sha512);
    await unpack(archive, directory, this.programs);
  },
};

/**
 * Downloads to a file and checks it.
 * @throws Unavailable when the server cannot be reached or has no such file; Error when the file is not the pinned one
 */
export async function download(url: string, file: string, sha512: string): Promise<void> {
  const body = await open(url);
  const hash = createHash("sha512");
  const out = createWriteStream(file);
  try {
    for await (const chunk of body) {
      hash.update(chunk);
      if (!out.write(chunk)) await once(out, "drain");
    }
  } catch (error) {
    throw new Unavailable(`${url} broke off: ${reasonOf(error)}`);
  } finally {
    out.end();
    await once(out, "close");
  }
  const got = hash.digest("hex");
  if (got === sha512) return;
  await rm(file);
  throw new Error(`${url} is not the file that is pinned (SHA-512 ${got}, expected ${sha512}); it was not used`);
}

async function open(url: string): Promise<AsyncIterable<Uint8Array>> {
  const giveUp = new AbortController();
  const connecting = setTimeout(() => giveUp.abort(new Error("no answer")), connectTimeoutMs);
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([giveUp.signal, AbortSignal.timeout(downloadTimeoutMs)]),
    });
    if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
    return response.body;
  } catch (error) {
    throw new Unavailable(`${new URL(url).host} could not be reached (${reasonOf(error)})`);
  } finally {
    clearTimeout(connecting);
  }
}

async function unpack(archive: string, directory: string, programs: readonly string[]): Promise<void> {
  const { ok, output } = await run("tar", ["-xzf", archive, "-C", directory]);
  if (!ok) throw new Error(`tar could not open the release download: ${lastLines(output)}`);
  await rm(archive);
  const unpacked = join(directory, "controller-tools");
  for (const program of programs) {
    await rename(join(unpacked, "envtest", program), join(directory, program));
    await chmod(join(directory, program), 0o755);
  }
  await rm(unpacked, { recursive: true });
}

/** fetch says only "fetch failed"; its cause says why. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.cause.name : error.message;
}
