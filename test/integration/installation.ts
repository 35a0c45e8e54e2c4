// The chart installed as the original's README has it (`helm template … | kubectl apply -f -`) on an API server of the
// test's own, and its operator and webhook run as their pods would: rendered arguments and variables, rendered rights.
// Only addresses are translated: to loopback, where the servers are.
import { expect } from "vitest";
import { eventually } from "../env/eventually.ts";
import type { Manifest } from "../env/kube-client.ts";
import { pathOf } from "../env/kube-client.ts";
import { objectOf, type Rendered, renderChart, type Values } from "../env/helm.ts";
import { ProcessGroup } from "../env/processes.ts";
import type { Operator } from "../env/operator.ts";
import type { StackInfo } from "../env/stack.ts";
import { uniqueName } from "../env/unique.ts";
import { startWebhook, type Webhook } from "../env/webhook.ts";
import { kubectl, operatorName, type PodProcess, podProcess, webhookName } from "./pods.ts";
import type { World } from "./world.ts";

const listens = /^--?(metrics-addr|listen-addr)\b/;

/** What is asked of an authorizer. */
export interface Question {
  readonly verb: string;
  readonly group?: string;
  /** Plural; `pods/exec` for a subresource. */
  readonly resource: string;
  readonly namespace?: string;
  readonly name?: string;
}

interface Binding {
  readonly metadata: { readonly namespace?: string };
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects: ReadonlyArray<{ readonly name: string }>;
}

interface Role {
  readonly rules: ReadonlyArray<{
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }>;
}

/** Renders the chart for a namespace of its own and applies it; the operator may write all of the world's mounts. */
export async function install(world: World, stack: StackInfo, values: Values = {}): Promise<Installation> {
  const namespace = uniqueName("install");
  await world.kube.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  const installation = new Installation(world, stack, await renderChart(values, { namespace }), namespace);
  await installation.apply();
  await installation.letLogIn("kms-vault-operator", { name: operatorName, namespace });
  return installation;
}

export class Installation implements AsyncDisposable {
  /** Of the release. */
  readonly namespace: string;
  readonly rendered: Rendered;
  readonly #world: World;
  readonly #stack: StackInfo;
  readonly #groups: ProcessGroup[] = [];

  constructor(world: World, stack: StackInfo, rendered: Rendered, namespace: string) {
    this.#world = world;
    this.#stack = stack;
    this.rendered = rendered;
    this.namespace = namespace;
  }

  /** All but the webhook's configuration: the API server would ask for what does not answer yet. */
  async apply(): Promise<void> {
    const items = this.#withoutConfiguration();
    await this.#kubectl(["apply", "--validate=strict", "-f", "-"], items);
    const bindings = items.filter(({ kind }) => kind.endsWith("RoleBinding")) as unknown as Binding[];
    await eventually(() => Promise.all(bindings.map((binding) => this.#expectGranted(binding))), { timeoutMs: 20_000 });
  }

  /** Gives the service account a role of Vault's Kubernetes method, which may write the world's mounts. */
  async letLogIn(
    role: string,
    account: { readonly name: string; readonly namespace: string },
    settings: object = {},
  ): Promise<void> {
    const { vault, v1, v2 } = this.#world;
    const policy = uniqueName("policy");
    const rules = [v1, v2].map(
      (mount) => `path "${mount}/*" { capabilities = ["create", "read", "update", "patch", "delete"] }`,
    );
    await vault.write(`sys/policies/acl/${policy}`, { policy: rules.join("\n") });
    await vault.write(`auth/kubernetes/role/${role}`, {
      token_policies: policy,
      bound_service_account_names: account.name,
      bound_service_account_namespaces: account.namespace,
      ...settings,
    });
  }

  /** Starts the operator, as the world's. */
  async startOperator(): Promise<void> {
    const { args, env, kubeconfig } = await this.#pod(operatorName);
    const { address, caFile } = this.#stack.vault;
    await this.#world.start({
      kubeconfig,
      args: args.filter((arg) => !listens.test(arg)),
      // Nothing but what is rendered: the tests' own defaults are taken away.
      env: { VAULT_TOKEN: undefined, WATCH_NAMESPACE: undefined, ...env, VAULT_ADDR: address, VAULT_CACERT: caFile },
    });
  }

  /** Starts the webhook and applies its configuration, turned to where it listens. */
  async startWebhook(): Promise<Webhook> {
    const { args, env, kubeconfig } = await this.#pod(webhookName);
    const webhook = await startWebhook({
      kubeconfig,
      hasFiles: false,
      args: [...args.filter((arg) => !listens.test(arg)), "--self-signed-names=127.0.0.1"],
      env,
    });
    const configuration = objectOf(this.rendered, "ValidatingWebhookConfiguration", webhookName);
    const [entry] = configuration["webhooks"] as [object];
    await this.#world.kube.create({
      ...configuration,
      webhooks: [{ ...entry, clientConfig: { url: webhook.url } }],
    });
    return webhook;
  }

  /** Whether the service account may do that, as `kubectl auth can-i` tells. */
  async may({ verb, group = "", resource, namespace, name }: Question, account = operatorName): Promise<boolean> {
    const [plural, subresource] = resource.split("/");
    const { status } = await this.#world.kube.post(
      { apiVersion: "authorization.k8s.io/v1", plural: "subjectaccessreviews" },
      {
        spec: {
          user: `system:serviceaccount:${this.namespace}:${account}`,
          groups: ["system:serviceaccounts", `system:serviceaccounts:${this.namespace}`, "system:authenticated"],
          resourceAttributes: { verb, group, resource: plural, subresource, namespace, name },
        },
      },
    );
    return status.allowed;
  }

  /** Takes away what was applied, but for the CRDs, and every object: the next operator would work on it too. */
  async [Symbol.asyncDispose](): Promise<void> {
    const all = ["kmsvaultsecrets", "--all", "--all-namespaces", "--wait=false"];
    await kubectl(this.#stack.kubernetes, ["delete", ...all]);
    for (const group of this.#groups) await group.stop();
    const configurations = this.rendered.manifests.filter(isConfiguration);
    for (const configuration of configurations) await this.#world.kube.delete(pathOf(configuration));
    const items = this.#withoutConfiguration().filter(({ kind }) => kind !== "CustomResourceDefinition");
    await this.#kubectl(["delete", "--ignore-not-found", "--wait=false", "-f", "-"], items);
  }

  /** The API server heeds roles and bindings a moment after it has stored them, each at its own time. */
  async #expectGranted({ metadata, roleRef, subjects }: Binding): Promise<void> {
    const { rules } = this.rendered.manifests.find(
      (role) =>
        role.kind === roleRef.kind &&
        role.metadata.name === roleRef.name &&
        (role.kind === "ClusterRole" || role.metadata.namespace === metadata.namespace),
    ) as unknown as Role;
    for (const { apiGroups, resources, resourceNames, verbs } of rules) {
      const question = {
        group: apiGroups[0] ?? "",
        resource: resources[0] ?? "",
        verb: verbs[0] ?? "",
        ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
        ...(resourceNames?.[0] !== undefined && { name: resourceNames[0] }),
      };
      for (const { name } of subjects) expect(await this.may(question, name), JSON.stringify(question)).toBe(true);
    }
  }

  async #pod(deployment: string): Promise<PodProcess> {
    const group = await ProcessGroup.create();
    this.#groups.push(group);
    const { kubernetes } = this.#stack;
    const node = { kube: this.#world.kube, kubernetes, directory: group.directory };
    return podProcess(objectOf(this.rendered, "Deployment", deployment), node);
  }

  #withoutConfiguration(): Manifest[] {
    return this.rendered.manifests.filter((manifest) => !isConfiguration(manifest));
  }

  /** Without --namespace: kubectl refuses to apply objects of another one with it (those of watched namespaces). */
  #kubectl(args: readonly string[], items: readonly Manifest[]): Promise<string> {
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items });
    return kubectl(this.#stack.kubernetes, args, list);
  }
}

/** How many requests of a process the API server has refused. @throws AssertionError when it has made none at all */
export async function refusedRequests(process: Pick<Operator, "metrics">): Promise<number> {
  const samples = (await process.metrics())
    .split("\n")
    .filter((line) => line.startsWith("rest_client_requests_total{"));
  expect(samples.length).toBeGreaterThan(0);
  const refused = samples.filter((line) => /code="(401|403)"/.test(line));
  return refused.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

function isConfiguration({ kind }: Manifest): boolean {
  return kind === "ValidatingWebhookConfiguration";
}
