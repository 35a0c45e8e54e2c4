// Builds a program from the Go modules pinned in tools/go (go.mod and go.sum are committed, so what is built is fixed
// and checked), for machines that reach a Go module proxy but no release download.
import { join } from "node:path";
import { elapsed } from "./progress.ts";
import type { Recipe } from "./recipe.ts";
import { Unavailable } from "./recipe.ts";
import { lastLines, run } from "./run.ts";

export interface GoProgram {
  readonly program: string;
  readonly version: string;
  /** Directory in tools/go that pins it. */
  readonly module: string;
  /** Import path of its main package. */
  readonly package: string;
  /** How long a first build takes, for the person who waits. */
  readonly duration: string;
  /** Variables to set at link time, `package.name=value`. */
  readonly set?: readonly string[];
  /** Build tags, divided by commas. */
  readonly tags?: string;
}

/** Link-time variables that give Kubernetes' commands their version; without them they call themselves v0.0.0-master. */
export function kubernetesVersion(version: string): string[] {
  const [major, minor] = version.split(".");
  const variables = "k8s.io/component-base/version";
  return [`${variables}.gitVersion=v${version}`, `${variables}.gitMajor=${major}`, `${variables}.gitMinor=${minor}`];
}

/** The recipe that builds the given program. */
export function goBuild(it: GoProgram): Recipe {
  return {
    title: "Go modules",
    directory: `${it.program}-${it.version}`,
    programs: [it.program],
    async fill(directory, progress) {
      const start = performance.now();
      progress(`${it.program} ${it.version}: building from Go modules, ${it.duration} the first time`);
      const ldflags = ["-s", "-w", ...(it.set ?? []).map((variable) => `-X=${variable}`)].join(" ");
      const tags = it.tags === undefined ? [] : ["-tags", it.tags];
      const args = ["build", "-trimpath", ...tags, "-ldflags", ldflags, "-o", join(directory, it.program), it.package];
      const built = await run("go", args, {
        cwd: join(import.meta.dirname, "..", "go", it.module),
        env: environment(),
      });
      if (built.missing) throw new Unavailable("Go is not installed (1.26 or newer is needed)");
      if (!built.ok) throw new Error(`go build failed:\n${lastLines(built.output)}`);
      progress(`${it.program} ${it.version}: built in ${elapsed(start)}`);
    },
  };
}

/** The user's own settings, but for those that would build another thing than what is pinned. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, GOFLAGS: "-mod=readonly -buildvcs=false", GOWORK: "off", CGO_ENABLED: "0" };
}
