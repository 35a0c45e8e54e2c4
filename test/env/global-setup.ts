// vitest's global setup: one stack for the whole run, with our CRDs in it. Test files get a namespace and a mount of
// their own in it (context.ts); files that stop or seal a server start one of their own (private.ts).
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { bundle } from "../../tools/bundle.ts";
import { timedProgress } from "../../tools/toolchain/progress.ts";
import { resolveToolchain } from "../../tools/toolchain/resolve.ts";
import { applyCrds } from "./crds.ts";
import { type StackInfo, startStack } from "./stack.ts";

declare module "vitest" {
  interface ProvidedContext {
    stack: StackInfo;
    /** The operator as `make build` would bundle it, from the source as it is now. */
    operatorProgram: string;
  }
}

/** Starts the stack; the function returned stops it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const programs = await resolveToolchain(["etcd", "kube-apiserver", "kubectl", "bao"], timedProgress(process.stderr));
  const stack = await startStack({ programs });
  try {
    const [operator] = await Promise.all([
      bundle(join(stack.info.directory, "operator")),
      applyCrds(stack.info.kubernetes),
    ]);
    project.provide("stack", stack.info);
    project.provide("operatorProgram", operator.main);
  } catch (error) {
    await stack.stop();
    throw error;
  }
  return () => stack.stop();
}
