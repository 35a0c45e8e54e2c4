// A lock between processes, so that two runs at once build a thing once. It only saves work: what is built appears by
// an atomic rename (cache.ts), so even two holders at once would do no harm. That is why taking over a stale lock may
// be simple.
import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

/** How often a holder shows that it lives, and after how long without a sign its lock counts as stale. */
export interface LockTimes {
  readonly signMs: number;
  readonly staleMs: number;
  readonly pollMs: number;
}

const defaultTimes: LockTimes = { signMs: 5_000, staleMs: 30_000, pollMs: 250 };

/**
 * Does `work` while holding the lock file.
 * A lock is taken over when the process that it names is dead, or has given no sign of life for 30 s.
 * @param onWait called once when another living process holds the lock, with its pid
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  onWait: (pid: number) => void,
  times: LockTimes = defaultTimes,
): Promise<T> {
  const content = `${process.pid} ${randomUUID()}\n`;
  await acquire(file, content, onWait, times);
  const sign = setInterval(() => {
    const now = new Date();
    // Gone when another process took the lock over after a long suspend; then there is nothing to keep fresh.
    utimes(file, now, now).catch(() => clearInterval(sign));
  }, times.signMs);
  sign.unref();
  try {
    return await work();
  } finally {
    clearInterval(sign);
    if ((await contentOf(file)) === content) await rm(file, { force: true });
  }
}

async function acquire(file: string, content: string, onWait: (pid: number) => void, times: LockTimes): Promise<void> {
  let waiting = false;
  while (!(await create(file, content))) {
    const holder = await contentOf(file);
    if (holder === undefined) continue;
    const pid = Number.parseInt(holder, 10);
    if (!isAlive(pid) || (await ageOf(file)) > times.staleMs) {
      await discard(file);
      continue;
    }
    if (!waiting) onWait(pid);
    waiting = true;
    await sleep(times.pollMs);
  }
}

/** Creates the file with its content in one step (a link), so that nobody ever reads half a lock. */
async function create(file: string, content: string): Promise<boolean> {
  const own = `${file}.${randomUUID()}`;
  await writeFile(own, content);
  try {
    await link(own, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(own, { force: true });
  }
}

/** Moved aside before it is removed: of several processes that find it stale, one gets it. */
async function discard(file: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return;
  }
  await rm(aside, { force: true });
}

async function contentOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function ageOf(file: string): Promise<number> {
  const found = await stat(file).catch(() => undefined);
  return found === undefined ? 0 : Date.now() - found.mtimeMs;
}

/** True when a process of that id exists, whoever owns it. */
function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
