// What is said of an image holds and cannot be said of another: its lists of contents and its provenance are what readers
// of these formats take, and a signature is good for one image and one key.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { root, startSupplyScene, type Ran, type SupplyScene } from "./supply-scene.ts";

const base = `docker.io/library/base@sha256:${"b".repeat(64)}`;
const builder = "https://ci.example.com/builders/1";

let scene: SupplyScene;
/** By digest. */
let image: string;
let other: string;

beforeAll(async () => {
  scene = await startSupplyScene();
  image = await scene.push("one", "one");
  other = await scene.push("other", "other");
}, 400_000);
afterAll(() => scene?.[Symbol.asyncDispose]());

/** A program of tools/, on this Node, with the crane that the scene has. */
function tool(name: string, ...args: readonly string[]): Promise<Ran> {
  return scene.run(process.execPath, [join(root, "tools", name), ...args], { CRANE_BIN: scene.programs.crane });
}

function provenance(reference: string, baseImage: string, output: string): Promise<Ran> {
  const args = [reference, "--builder", builder, "--base-image", baseImage, "--output", output];
  return tool("provenance.ts", ...args);
}

const file = (name: string) => readFile(join(scene.directory, name), "utf8");

async function read(kind: "spdx" | "statement", name: string): Promise<Ran> {
  const script = join(import.meta.dirname, "supply-documents.py");
  return scene.run(scene.programs["supply-python"], [script, kind, name]);
}

describe("lists of contents", () => {
  beforeAll(async () => {
    expect(await tool("sbom.ts", image, "--output", "sbom")).toMatchObject({ ok: true });
  });

  test("name the operator, each package of its bundle, Node.js and Debian's packages", async () => {
    const bundle = JSON.parse(await readFile(join(root, "dist", "kms-vault-operator.cdx.json"), "utf8"));
    const expected: string[] = [
      ...[bundle.metadata.component, ...bundle.components].map(({ purl }) => purl),
      "pkg:generic/node@24.21.0",
      "pkg:deb/debian/base-files@13.8?arch=amd64&distro=debian-13",
      "pkg:deb/debian/libc6@2.41-12%2Bdeb13u3?arch=amd64&distro=debian-13&upstream=glibc",
    ];
    const cyclonedx = JSON.parse(await file("sbom/image.cdx.json"));
    expect(new Set(cyclonedx.components.map(({ purl }: { purl: string }) => purl))).toEqual(new Set(expected));
    const spdx = JSON.parse(await file("sbom/image.spdx.json"));
    const purls = spdx.packages.map(
      (one: { externalRefs: [{ referenceLocator: string }] }) => one.externalRefs[0].referenceLocator,
    );
    expect(new Set(purls.slice(1))).toEqual(new Set(expected));
    expect(purls).toHaveLength(1 + expected.length);
    const [, digest] = image.split("@sha256:");
    expect(purls[0]).toContain(digest);
    expect(cyclonedx.metadata.component.version).toContain(digest);
  });

  test("name Node.js by its CPE as well: its package URL is nobody's", async () => {
    const cpe = "cpe:2.3:a:nodejs:node.js:24.21.0:*:*:*:*:*:*:*";
    const { components } = JSON.parse(await file("sbom/image.cdx.json"));
    expect(components.flatMap((one: { cpe?: string }) => one.cpe ?? [])).toEqual([cpe]);
    const { packages } = JSON.parse(await file("sbom/image.spdx.json"));
    const references = packages.flatMap(({ externalRefs }: { externalRefs: object[] }) => externalRefs.slice(1));
    expect(references).toEqual([{ referenceCategory: "SECURITY", referenceType: "cpe23Type", referenceLocator: cpe }]);
  });

  test("name nothing that the project is only built and tested with", async () => {
    expect(await file("sbom/image.spdx.json")).not.toMatch(/pkg:npm\/(esbuild|vitest|typescript|%40cyclonedx)/);
  });

  test("are of one platform, where an image is for several", async () => {
    const arm64 = await scene.push("arm64", "one", "arm64");
    const both = ["--manifest", image, "--manifest", arm64, "--tag", `${scene.name}:both`];
    expect(await scene.run(scene.programs.crane, ["index", "append", ...both])).toMatchObject({ ok: true });
    const { stdout } = await tool("sbom.ts", `${scene.name}:both`, "--platform", "linux/arm64", "--output", "arm64");
    expect(stdout).toContain(`components of ${arm64}\n`);
    const { metadata, components } = JSON.parse(await file("arm64/image.cdx.json"));
    expect(metadata.component.version).toBe(arm64.split("@")[1]);
    const purls = components.map(({ purl }: { purl: string }) => purl);
    expect(purls).toContain("pkg:deb/debian/libc6@2.41-12%2Bdeb13u3?arch=arm64&distro=debian-13&upstream=glibc");
  });

  test("are refused for a platform that the image is not for", async () => {
    const { ok, stderr } = await tool("sbom.ts", image, "--platform", "linux/arm64", "--output", "refused");
    expect(ok).toBe(false);
    expect(stderr).toContain("is for linux/amd64, not for linux/arm64");
  });

  test("call the image what it will be called", async () => {
    await tool("sbom.ts", image, "--name", "docker.io/patoarvizu/kms-vault-operator", "--output", "named");
    const { component } = JSON.parse(await file("named/image.cdx.json")).metadata;
    expect(component.name).toBe("docker.io/patoarvizu/kms-vault-operator");
    expect(component.purl).not.toContain("127.0.0.1");
  });

  test("are valid CycloneDX 1.6, by its schema", async () => {
    const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
    expect(await validator.validate(await file("sbom/image.cdx.json"))).toBeNull();
    expect(
      await validator.validate(await readFile(join(root, "dist", "kms-vault-operator.cdx.json"), "utf8")),
    ).toBeNull();
  });

  test("are valid SPDX, by its publishers' validator", async () => {
    const { ok, stdout, stderr } = await read("spdx", "sbom/image.spdx.json");
    expect(stderr).toBe("");
    expect(ok).toBe(true);
    expect(Number(stdout)).toBeGreaterThan(50);
    const text = await file("sbom/image.spdx.json");
    await writeFile(
      join(scene.directory, "broken.spdx.json"),
      text.replace('"licenseDeclared": "MIT"', '"licenseDeclared": "MEAT"'),
    );
    expect((await read("spdx", "broken.spdx.json")).ok).toBe(false);
  });

  test("are the same bytes each time", async () => {
    await tool("sbom.ts", `${scene.name}:one`, "--output", "again");
    expect(await file("again/image.spdx.json")).toBe(await file("sbom/image.spdx.json"));
    expect(await file("again/image.cdx.json")).toBe(await file("sbom/image.cdx.json"));
  });

  test("are not made of an image that is not of the operator", async () => {
    const name = `${scene.name}:no-label`;
    await scene.run(scene.programs.crane, ["append", "--new_layer", "one.tar", "--new_tag", name]);
    await scene.run(scene.programs.crane, ["mutate", name, "--set-platform", "linux/amd64", "--tag", name]);
    const { ok, stderr } = await tool("sbom.ts", `${scene.name}:no-label`);
    expect(ok).toBe(false);
    expect(stderr).toContain("does not say when it was made");
  });
});

describe("provenance", () => {
  test("is a statement of in-toto with a provenance of SLSA, by their publishers' definitions", async () => {
    expect(await provenance(image, base, "provenance")).toMatchObject({ ok: true });
    const text = await file("provenance/provenance.intoto.json");
    const statement = JSON.parse(text);
    const [name, digest = ""] = image.split("@sha256:");
    expect(statement.subject).toEqual([{ name, digest: { sha256: digest } }]);
    const digests = statement.predicate.buildDefinition.resolvedDependencies.map(
      (one: { digest: object }) => one.digest,
    );
    expect(digests).toEqual([
      { gitCommit: scene.commit },
      { sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      { sha256: "b".repeat(64) },
    ]);
    const taken = await read("statement", "provenance/provenance.intoto.json");
    expect(taken).toEqual({ ok: true, stdout: `${builder}\n`, stderr: "" });
    await writeFile(join(scene.directory, "broken.json"), text.replace("buildType", "buildKind"));
    expect((await read("statement", "broken.json")).ok).toBe(false);
  });

  test("is refused for a platform that the image is not for", async () => {
    const platform = ["--platform", "linux/arm64", "--output", "refused"];
    const { ok, stderr } = await tool("provenance.ts", image, "--builder", builder, "--base-image", base, ...platform);
    expect(ok).toBe(false);
    expect(stderr).toContain("is for linux/amd64, not for linux/arm64");
  });

  test("is refused for a base that is not named by its digest", async () => {
    const { ok, stderr } = await provenance(image, "debian:13", "refused");
    expect(ok).toBe(false);
    expect(stderr).toContain("debian:13 can be another image tomorrow");
  });
});

describe("signatures", () => {
  /** Offline: neither a transparency log nor Sigstore's list of its own keys is asked. */
  const offline = ["--signing-config", "signing.json", "--trusted-root", "root.json"];
  const cosign = (...args: readonly string[]) =>
    scene.run(scene.programs.cosign, args, { COSIGN_PASSWORD: "a password" });
  const verify = (what: string, key: string, reference: string, ...more: readonly string[]) =>
    cosign(what, "--key", `${key}.pub`, "--insecure-ignore-tlog", ...more, reference);

  beforeAll(async () => {
    for (const key of ["ours", "theirs"]) {
      expect(await cosign("generate-key-pair", "--output-key-prefix", key)).toMatchObject({ ok: true });
    }
    await cosign("signing-config", "create", "--out", "signing.json");
    await cosign("trusted-root", "create", "--out", "root.json");
    expect(await cosign("sign", "--key", "ours.key", ...offline, image)).toMatchObject({ ok: true });
  });

  test("are good for the image that was signed", async () => {
    const { ok, stdout } = await verify("verify", "ours", image);
    expect(ok).toBe(true);
    expect(JSON.parse(stdout)[0].critical.image["docker-manifest-digest"]).toBe(image.split("@")[1]);
  });

  test("are not good for another image, nor when the tag has moved to it", async () => {
    expect(await verify("verify", "ours", other)).toMatchObject({
      ok: false,
      stderr: expect.stringContaining("no signatures"),
    });
    await scene.run(scene.programs.crane, ["tag", image, "moving"]);
    expect(await verify("verify", "ours", `${scene.name}:moving`)).toMatchObject({ ok: true });
    await scene.run(scene.programs.crane, ["tag", other, "moving"]);
    expect(await verify("verify", "ours", `${scene.name}:moving`)).toMatchObject({ ok: false });
  });

  test("are not good for another's key", async () => {
    expect(await verify("verify", "theirs", image)).toMatchObject({ ok: false });
  });

  test("stand below lists and provenance as well", async () => {
    await tool("sbom.ts", image, "--output", "signed");
    await provenance(image, base, "signed");
    const documents = [
      ["spdxjson", "signed/image.spdx.json"],
      ["cyclonedx", "signed/image.cdx.json"],
      ["slsaprovenance1", "signed/provenance.json"],
    ] as const;
    for (const [type, document] of documents) {
      const attest = ["attest", "--key", "ours.key", ...offline, "--type", type, "--predicate", document];
      expect(await cosign(...attest, image)).toMatchObject({ ok: true });
      const { ok, stdout: envelope } = await verify("verify-attestation", "ours", image, "--type", type);
      expect(ok).toBe(true);
      const statement = JSON.parse(Buffer.from(JSON.parse(envelope).payload, "base64").toString());
      expect(statement.subject[0].digest.sha256).toBe(image.split("@sha256:")[1]);
      expect(statement.predicate).toEqual(JSON.parse(await file(document)));
      expect(await verify("verify-attestation", "theirs", image, "--type", type)).toMatchObject({ ok: false });
      expect(await verify("verify-attestation", "ours", other, "--type", type)).toMatchObject({ ok: false });
    }
  });
});
