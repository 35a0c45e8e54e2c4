// Finds an image wherever it is and reads its labels: an OCI layout or an archive of one, the storage of the machine's
// container programs, a registry. Nothing of the image is run.
import { existsSync } from "node:fs";
import { timedProgress } from "../toolchain/progress.ts";
import { resolveToolchain } from "../toolchain/resolve.ts";
import { readLayout } from "./oci.ts";
import { output } from "./output.ts";

/** The labels of one platform's image. */
export interface Labelled {
  /** `amd64` */
  readonly architecture: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * @param image path of a layout or archive, else the name of an image: in Docker's storage, in Buildah's, in its registry
 * @throws Error that says for each place why it is not there
 */
export async function findLabels(image: string): Promise<readonly Labelled[]> {
  const path = image.replace(/^oci(-archive)?:/, "");
  if (existsSync(path)) return readLayout(path);
  const places: Readonly<Record<string, () => Promise<readonly Labelled[]>>> = {
    Docker: () => inDocker(image),
    Buildah: () => inBuildah(image),
    "the registry": () => inRegistry(image),
  };
  const reasons: string[] = [];
  for (const [place, look] of Object.entries(places)) {
    try {
      return await look();
    } catch (error) {
      reasons.push(`${place}: ${lastLine(error)}`);
    }
  }
  throw new Error(`${image} is not to be found\n  ${reasons.join("\n  ")}`);
}

async function inDocker(image: string): Promise<Labelled[]> {
  const [found] = JSON.parse(await output("docker", ["image", "inspect", image])) as readonly [DockerImage];
  return [{ architecture: found.Architecture, labels: found.Config?.Labels ?? {} }];
}

async function inBuildah(image: string): Promise<Labelled[]> {
  const { OCIv1 } = JSON.parse(await output("buildah", ["inspect", "--type", "image", image])) as BuildahImage;
  return [{ architecture: OCIv1.architecture, labels: OCIv1.config?.Labels ?? {} }];
}

/** All platforms of it. */
async function inRegistry(image: string): Promise<Labelled[]> {
  const { crane } = await resolveToolchain(["crane"], timedProgress(process.stderr));
  const { manifests } = JSON.parse(await output(crane, ["manifest", image])) as { readonly manifests?: Entry[] };
  const repository = image.replace(/@.*$/, "").replace(/:[^/:]+$/, "");
  // An index also lists attestations, whose platform is "unknown".
  const parts = manifests
    ?.filter(({ platform }) => platform?.os !== "unknown")
    .map(({ digest }) => `${repository}@${digest}`);
  return Promise.all(
    (parts ?? [image]).map(async (part) => {
      const config = JSON.parse(await output(crane, ["config", part])) as Config;
      return { architecture: config.architecture, labels: config.config?.Labels ?? {} };
    }),
  );
}

interface Entry {
  readonly digest: string;
  readonly platform?: { readonly os: string };
}

interface DockerImage {
  readonly Architecture: string;
  readonly Config?: Config["config"];
}

interface BuildahImage {
  readonly OCIv1: Config;
}

interface Config {
  readonly architecture: string;
  readonly config?: { readonly Labels?: Readonly<Record<string, string>> };
}

function lastLine(error: unknown): string {
  const { stderr, message } = error as Error & { readonly stderr?: string };
  return (stderr || message).trimEnd().split("\n").at(-1) ?? "";
}
