// Where built and downloaded programs are kept: outside the checkout, one directory per thing and version, which is
// either complete or not there.
import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { withLock } from "./lock.ts";
import type { Progress } from "./progress.ts";

/** `$XDG_CACHE_HOME`, else `~/.cache`, and in it our own directory. */
export function cacheRoot(env: NodeJS.ProcessEnv): string {
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "kms-vault-operator", "toolchain");
}

/** Node's name of this machine in the words of Go: `linux-amd64`. */
export function platform(os: string = process.platform, cpu: string = process.arch): string {
  return `${os}-${cpu === "x64" ? "amd64" : cpu}`;
}

export interface CacheEntry {
  readonly root: string;
  /** Name of the directory in the cache, with version and platform. */
  readonly name: string;
  /** True when the directory holds what it should. */
  isComplete(directory: string): boolean;
  /** Fills an empty directory. When it throws nothing is kept. */
  fill(directory: string): Promise<void>;
}

/** The directory of the entry, made under a lock when it is not there yet. Passes on what `fill` throws. */
export async function cached(entry: CacheEntry, progress: Progress): Promise<string> {
  const directory = join(entry.root, entry.name);
  if (entry.isComplete(directory)) return directory;
  await mkdir(entry.root, { recursive: true });
  return withLock(
    `${directory}.lock`,
    async () => {
      if (!entry.isComplete(directory)) await make(entry, directory);
      return directory;
    },
    (pid) => progress(`${entry.name}: waiting for process ${pid}, which is making it`),
  );
}

async function make(entry: CacheEntry, directory: string): Promise<void> {
  await removeLeftovers(entry);
  const temporary = `${directory}.${randomUUID()}`;
  await mkdir(temporary);
  try {
    await entry.fill(temporary);
    if (!entry.isComplete(temporary)) throw new Error(`${entry.name}: made, but it does not hold what it should`);
    // An incomplete directory of that name can only be what somebody left by hand.
    await rm(directory, { recursive: true, force: true });
    await rename(temporary, directory);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** What runs that were killed left half made; nobody else is making this entry while we hold its lock. */
async function removeLeftovers({ root, name }: CacheEntry): Promise<void> {
  for (const found of await readdir(root)) {
    if (!found.startsWith(`${name}.`) || found.startsWith(`${name}.lock`)) continue;
    await rm(join(root, found), { recursive: true, force: true });
  }
}
