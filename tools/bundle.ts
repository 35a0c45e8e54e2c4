// Bundles the command line and everything it needs into one directory, so that what is shipped starts fast and has no
// node_modules. What is imported lazily (a kubeconfig loader of 15 MB, pretty logs) becomes a chunk of its own.
import { join } from "node:path";
import { build } from "esbuild";

/** What came out. */
export interface Bundle {
  /** The program; run it with Node 24. */
  readonly main: string;
  /** Size of the program without its chunks. */
  readonly bytes: number;
  readonly chunks: number;
}

// Dependencies that are CommonJS call require(), which an ES module does not have.
const banner = `import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);`;

/** Bundles src/cli/main.ts into a directory. Rejects with esbuild's errors, which are printed as well. */
export async function bundle(directory: string): Promise<Bundle> {
  const name = "kms-vault-operator";
  const { metafile } = await build({
    absWorkingDir: join(import.meta.dirname, ".."),
    entryPoints: { [name]: "src/cli/main.ts" },
    outdir: directory,
    bundle: true,
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
    format: "esm",
    platform: "node",
    target: "node24",
    banner: { js: banner },
    sourcemap: true,
    legalComments: "external",
    minifySyntax: true,
    metafile: true,
    logLevel: "warning",
  });
  const outputs = Object.entries(metafile.outputs).filter(([file]) => file.endsWith(".js"));
  const [, output] = outputs.find(([file]) => file.endsWith(`/${name}.js`)) ?? [];
  if (output === undefined) throw new Error(`esbuild wrote no ${name}.js`);
  return { main: join(directory, `${name}.js`), bytes: output.bytes, chunks: outputs.length - 1 };
}
