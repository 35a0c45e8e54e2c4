// Bundles the command line and everything it needs into one directory, so that what is shipped starts fast and has no
// node_modules. What is imported lazily (the kubeconfig loader, pretty logs) becomes a chunk of its own.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { build as esbuild, type Plugin } from "esbuild";

/** What came out. */
export interface Bundle {
  /** The program; run it with Node 24. */
  readonly main: string;
  /** Size of the program without its chunks. */
  readonly bytes: number;
  readonly chunks: number;
  /** The files that code in it comes from, relative to the repository. */
  readonly sources: readonly string[];
}

// Dependencies that are CommonJS call require(), which an ES module does not have.
const banner = `import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);`;

/**
 * Of @kubernetes/client-node only the kubeconfig loader is used; the clients that it generates for every resource of
 * Kubernetes are 15 MB to parse, and 56 MB in memory. They are left out: nobody asks the loader to make one.
 */
const kubeconfigOnly: Plugin = {
  name: "kubeconfig-only",
  setup(build) {
    build.onResolve({ filter: /^@kubernetes\/client-node$/ }, ({ path, resolveDir }) => ({
      path: join(dirname(createRequire(join(resolveDir, "x.js")).resolve(path)), "config.js"),
    }));
    build.onResolve({ filter: /^\.\/gen\/index\.js$/ }, ({ path, importer }) =>
      importer.endsWith("client-node/dist/config.js") ? { path, namespace: "left-out" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "left-out" }, () => ({
      contents: `const leftOut = () => { throw new Error("the generated clients are not part of this bundle"); };
        export { leftOut as createConfiguration, leftOut as ServerConfiguration };`,
    }));
  },
};

/** Bundles src/cli/main.ts into a directory. Rejects with esbuild's errors, which are printed as well. */
export async function bundle(directory: string): Promise<Bundle> {
  const name = "kms-vault-operator";
  const { metafile } = await esbuild({
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
    plugins: [kubeconfigOnly],
    logLevel: "warning",
  });
  const outputs = Object.entries(metafile.outputs).filter(([file]) => file.endsWith(".js"));
  const [, output] = outputs.find(([file]) => file.endsWith(`/${name}.js`)) ?? [];
  if (output === undefined) throw new Error(`esbuild wrote no ${name}.js`);
  const sources = outputs.flatMap(([, { inputs }]) =>
    Object.entries(inputs)
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([file]) => file),
  );
  return { main: join(directory, `${name}.js`), bytes: output.bytes, chunks: outputs.length - 1, sources };
}
