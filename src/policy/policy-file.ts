// The policy file: read at the start, where a broken one stops the process, and told apart from what it was before. What
// cannot be read, or is half written, is never taken for "no policy".
import { readFile, stat } from "node:fs/promises";
import { codeOf } from "../base/retry.ts";
import type { Rule } from "./rules.ts";

/** A policy file as it was read. */
export interface LoadedPolicy {
  readonly file: string;
  readonly text: string;
  readonly rules: readonly Rule[];
}

/** More than a ConfigMap holds, bytes. */
const largest = 2 * 1024 * 1024;

/** @returns the policy, or everything that is wrong with the file, one line each, with its place in it */
export async function loadPolicy(file: string): Promise<LoadedPolicy | { readonly problems: readonly string[] }> {
  let text: string;
  try {
    const found = await stat(file);
    if (!found.isFile()) return { problems: ["is not a file"] };
    if (found.size > largest) return { problems: [`is larger than ${largest} bytes`] };
    text = await readFile(file, "utf8");
  } catch (error) {
    return { problems: [`cannot be read (${codeOf(error)})`] };
  }
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
