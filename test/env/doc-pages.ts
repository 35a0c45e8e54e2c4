// Which test runs the commands of which page. A page is claimed as a whole and run from top to bottom: a console block is
// run, or the page itself says above it why not (`<!-- not run by tests: reason -->`). doc-pages.test.ts holds pages and
// tests to that.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readPage } from "./doc-page.ts";
import type { DocShell } from "./doc-shell.ts";

const root = join(import.meta.dirname, "..", "..");

/** Pages wait for pods and leases; the shell bounds each command by itself. */
const sectionTimeoutMs = 300_000;

/** Page → the test that runs it by `runPage`, both relative to the repository. */
export const docPages = {
  "README.md": "test/integration/docs/readme.test.ts",
  "SECURITY.md": "test/integration/docs/security.test.ts",
  "docs/install.md": "test/integration/docs/install.test.ts",
  "docs/upgrade-from-v0.md": "test/integration/docs/upgrade-from-v0.test.ts",
  "docs/concepts/supply-chain.md": "test/integration/docs/supply-chain.test.ts",
  "docs/reference/helm-values.md": "test/integration/docs/helm-values.test.ts",
} as const;

export type DocPage = keyof typeof docPages;

export interface PageRun {
  /** Prepares the reader's surroundings and opens the terminal; it is closed at the end. */
  readonly open: () => Promise<DocShell>;
  /** What the reader puts in the place of what the page says: an address, a name. Each must be on the page. */
  readonly replace?: () => Readonly<Record<string, string>>;
  /** Title of a section (`Second / Third`) → what happens in the world before or after it. */
  readonly before?: Readonly<Record<string, () => Promise<void>>>;
  readonly after?: Readonly<Record<string, () => Promise<void>>>;
  /** What the world has to say when a section fails, besides what the terminal shows. */
  readonly explain?: () => string;
}

/** Registers one test for each section that has commands; they run in the order of the page, in one terminal. */
export function runPage(page: DocPage, run: PageRun): void {
  const markdown = readFileSync(join(root, page), "utf8");
  const { sections } = readPage(markdown);
  const titles = sections.map(({ title }) => title);
  let shell: DocShell;
  let replacements: readonly (readonly [string, string])[];
  let failed: string | undefined;

  beforeAll(async () => {
    shell = await run.open();
    replacements = Object.entries(run.replace?.() ?? {});
    const hooks = Object.keys({ ...run.before, ...run.after });
    expect(hooks.filter((title) => !titles.includes(title))).toEqual([]);
    expect(replacements.filter(([text]) => !markdown.includes(text))).toEqual([]);
  });
  afterAll(() => shell?.[Symbol.asyncDispose]());

  test.each(sections)(
    `${page}: $title`,
    async ({ title, steps }) => {
      expect(failed, "the section that failed before this one").toBeUndefined();
      failed = title;
      try {
        await run.before?.[title]?.();
        for (const step of steps) await shell.follow(replaced(step, replacements));
        await run.after?.[title]?.();
      } catch (error) {
        if (run.explain !== undefined) process.stderr.write(`${run.explain()}\n`);
        throw error;
      }
      failed = undefined;
    },
    sectionTimeoutMs,
  );
}

/** A step in which the reader's own words stand. */
function replaced<T extends object>(step: T, replacements: readonly (readonly [string, string])[]): T {
  const replace = (text: string) => replacements.reduce((all, [from, to]) => all.replaceAll(from, to), text);
  return Object.fromEntries(
    Object.entries(step).map(([name, value]) => {
      if (Array.isArray(value)) return [name, value.map((line) => replace(String(line)))];
      return [name, typeof value === "string" && name !== "kind" ? replace(value) : value];
    }),
  ) as T;
}
