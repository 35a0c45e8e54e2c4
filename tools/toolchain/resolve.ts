// Finds each program, or makes it: an explicit path, envtest's directory, PATH when the version fits, the cache, then
// the part's own recipes. The first four cost milliseconds, so everything is looked for before anything is made.
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { cached, cacheRoot, platform } from "./cache.ts";
import type { Part, PartName } from "./parts.ts";
import { parts } from "./parts.ts";
import type { Progress } from "./progress.ts";
import type { Recipe } from "./recipe.ts";
import { run } from "./run.ts";
import { findVersion, fits, formatVersion } from "./version.ts";

/** What the search depends on; tests hand in their own. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv;
  isExecutable(file: string): boolean;
  /** What the program prints when asked for its version, or undefined when it cannot be run. */
  versionOutput(file: string, args: readonly string[]): Promise<string | undefined>;
}

/** Where a program was found. */
export interface Found {
  readonly path: string;
  /** `TEST_ASSET_ETCD`, `KUBEBUILDER_ASSETS`, `PATH`, `cache` */
  readonly from: string;
}

/**
 * The paths of the named programs, each found or made.
 * @throws Error with one line per program that could not be had, saying what to install or to set
 */
export async function resolveToolchain<Name extends PartName>(
  names: readonly Name[],
  progress: Progress,
  surroundings: Surroundings = realSurroundings(process.env),
): Promise<Record<Name, string>> {
  const found = await Promise.all(names.map(async (name) => [name, await find(parts[name], surroundings)] as const));
  const paths = new Map<Name, string>();
  for (const [name, { found: at, notes }] of found) {
    for (const note of notes) progress(note);
    if (at !== undefined) paths.set(name, at.path);
  }
  const missing = names.filter((name) => !paths.has(name));
  // Builds use every core by themselves: in order they are done earliest, and each line of progress means one thing.
  const closed = new Map<Recipe, string>();
  const problems: string[] = [];
  for (const name of missing) {
    try {
      paths.set(name, await makePart(parts[name], surroundings.env, progress, closed));
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return Object.fromEntries(paths) as Record<Name, string>;
}

/**
 * Looks for a program without making anything.
 * @returns where it was found, and a line for each place that holds one that does not fit
 * @throws Error when the explicit variable names what cannot be run
 */
export async function find(part: Part, { env, ...look }: Surroundings): Promise<{ found?: Found; notes: string[] }> {
  const explicit = env[part.variable];
  if (explicit) {
    if (!look.isExecutable(explicit)) throw new Error(`${part.variable} names ${explicit}, which is no program`);
    return { found: { path: explicit, from: part.variable }, notes: [] };
  }
  const notes: string[] = [];
  for (const { path, from } of candidates(part, env)) {
    if (!look.isExecutable(path) || part.versionArgs === undefined) continue;
    const version = findVersion((await look.versionOutput(path, part.versionArgs)) ?? "");
    if (version !== undefined && fits(version, part.least)) return { found: { path, from }, notes };
    const told = version === undefined ? "tells no version" : `is ${formatVersion(version)}`;
    notes.push(`${part.name}: ${path} (${from}) ${told}, ${formatVersion(part.least)} or newer is needed; not used`);
  }
  for (const recipe of part.recipes) {
    const path = join(cacheRoot(env), directoryOf(recipe), part.name);
    if (look.isExecutable(path)) return { found: { path, from: "cache" }, notes };
  }
  return { notes };
}

function candidates(part: Part, env: NodeJS.ProcessEnv): Found[] {
  const assets = env["KUBEBUILDER_ASSETS"];
  const inAssets = part.inEnvtest && assets ? [{ path: join(assets, part.name), from: "KUBEBUILDER_ASSETS" }] : [];
  const onPath = (env["PATH"] ?? "").split(delimiter).filter((directory) => directory !== "");
  return [...inAssets, ...onPath.map((directory) => ({ path: join(directory, part.name), from: "PATH" }))];
}

/**
 * Makes a program by the first of its recipes that works here.
 * @param closed recipes that failed before and why; a server that is out of reach is asked once, not once per program
 * @throws Error that says for each recipe why it did not
 */
async function makePart(
  part: Part,
  env: NodeJS.ProcessEnv,
  progress: Progress,
  closed: Map<Recipe, string>,
): Promise<string> {
  for (const recipe of part.recipes.filter((each) => !closed.has(each))) {
    try {
      const directory = await cached(
        {
          root: cacheRoot(env),
          name: directoryOf(recipe),
          isComplete: (at) => recipe.programs.every((program) => isExecutable(join(at, program))),
          fill: (at) => recipe.fill(at, progress),
        },
        progress,
      );
      return join(directory, part.name);
    } catch (error) {
      const reason = `${recipe.title}: ${error instanceof Error ? error.message : String(error)}`;
      progress(`${part.name}: ${reason}`);
      closed.set(recipe, reason);
    }
  }
  const reasons = part.recipes.map((recipe) => closed.get(recipe));
  throw new Error(`${part.name} could not be had (${reasons.join("; ")}); or name one you have in ${part.variable}`);
}

function directoryOf(recipe: Recipe): string {
  return `${recipe.directory}-${platform()}`;
}

/** The machine as it is. */
function realSurroundings(env: NodeJS.ProcessEnv): Surroundings {
  return {
    env,
    isExecutable,
    async versionOutput(file, args) {
      const { ok, output } = await run(file, args, { timeoutMs: 10_000 });
      return ok ? output : undefined;
    },
  };
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
