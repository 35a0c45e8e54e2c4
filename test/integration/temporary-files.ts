// Files of one test: replaced in one step, as whoever rotates certificates does, and removed with the test.
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface TemporaryFiles extends AsyncDisposable {
  path(name: string): string;
  write(name: string, content: string): Promise<void>;
}

/** @param contents name → what it holds at first */
export async function withFiles(contents: Readonly<Record<string, string>> = {}): Promise<TemporaryFiles> {
  const directory = await mkdtemp(join(tmpdir(), "vault-files-"));
  const path = (name: string) => join(directory, name);
  const write = async (name: string, content: string) => {
    await writeFile(path(`${name}.new`), content);
    await rename(path(`${name}.new`), path(name));
  };
  for (const [name, content] of Object.entries(contents)) await write(name, content);
  return { path, write, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}
