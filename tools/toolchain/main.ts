// `node tools/toolchain/main.ts [program …]`: finds or makes the named programs (the usual ones when none
// is named) and prints their paths, one `name path` line each. Progress goes to stderr.
import { parts, type PartName } from "./parts.ts";
import { timedProgress } from "./progress.ts";
import { resolveToolchain } from "./resolve.ts";

const usual: readonly PartName[] = ["etcd", "kube-apiserver", "kubectl", "bao"];

try {
  const paths = await resolveToolchain(namesFrom(process.argv.slice(2)), timedProgress(process.stderr));
  for (const [name, path] of Object.entries(paths)) process.stdout.write(`${name} ${path}\n`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

function namesFrom(args: readonly string[]): readonly PartName[] {
  const isPart = (name: string): name is PartName => Object.hasOwn(parts, name);
  const unknown = args.filter((name) => !isPart(name));
  if (unknown.length > 0) {
    throw new Error(`unknown program ${unknown.join(", ")}; there are ${Object.keys(parts).join(", ")}`);
  }
  return args.length === 0 ? usual : args.filter(isPart);
}
