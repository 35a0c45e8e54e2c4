// The policy file: read at the start, where a broken one stops the process, and told apart from what it was before. What
// cannot be read, or is half written, is never taken for "no policy".
import { lstat, readFile, stat } from "node:fs/promises";
import { codeOf } from "../base/retry.ts";
import type { Rule } from "./rules.ts";

/** A policy file as it was read. */
export interface LoadedPolicy {
  readonly file: string;
  readonly text: string;
  readonly rules: readonly Rule[];
}

/** A file that changes while it is read is read so many times. */
const attempts = 3;
/** More than a ConfigMap holds, bytes. */
const largest = 2 * 1024 * 1024;

/** @returns the policy, or everything that is wrong with the file, one line each, with its place in it */
export async function loadPolicy(file: string): Promise<LoadedPolicy | { readonly problems: readonly string[] }> {
  let text: string | undefined;
  try {
    const found = await stat(file);
    if (!found.isFile()) return { problems: ["is not a file"] };
    if (found.size > largest) return { problems: [`is larger than ${largest} bytes`] };
    text = await readWhole(file);
  } catch (error) {
    return { problems: [`cannot be read (${codeOf(error)})`] };
  }
  if (text === undefined) return { problems: ["changes while it is read"] };
  const { parsePolicy } = await import("./parse.ts");
  const parsed = parsePolicy(text);
  return "rules" in parsed ? { file, text, rules: parsed.rules } : parsed;
}

/** Changes when the file does, also by a change of the link that leads to it (how a ConfigMap is swapped). */
export async function signatureOf(file: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(file, { bigint: true });
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  } catch (error) {
    return `cannot be read (${codeOf(error)})`;
  }
}

/** Whether the file is a link to another: one that is never written to, but swapped for a link to a whole new file. */
export async function isLink(file: string): Promise<boolean> {
  try {
    return (await lstat(file)).isSymbolicLink();
  } catch {
    // It is not there; `signatureOf` and `loadPolicy` say so.
    return false;
  }
}

/** Undefined when the file is another one each time after it was read: it may have been read in part. */
async function readWhole(file: string): Promise<string | undefined> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const before = await signatureOf(file);
    const text = await readFile(file, "utf8");
    if ((await signatureOf(file)) === before) return text;
  }
  return undefined;
}
