// What tests of the webhook share: a namespace whose objects it reviews, a KMS of their own so that its counters count
// this webhook's calls alone, and the verbs of the story: create, edit, be denied, be warned.
import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, inject } from "vitest";
import { type TestEnv, testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { HttpError } from "../env/http.ts";
import { KmsTestClient } from "../env/kms-client.ts";
import type { Kms } from "../env/kms.ts";
import type { KubeClient, Manifest } from "../env/kube-client.ts";
import { type Private, privateKms } from "../env/private.ts";
import { ProcessGroup } from "../env/processes.ts";
import { installConfiguration, startWebhook, type Webhook, type WebhookOptions } from "../env/webhook.ts";
import { kmsVaultSecret, partialKMSVaultSecret, partialPath, secretPath } from "../gen/manifests.ts";

export interface ReviewSceneOptions extends Omit<WebhookOptions, "kms"> {
  /** Over the shipped configuration's entry. */
  readonly configuration?: Readonly<Record<string, unknown>>;
}

/** Brings everything up. `await using` ends it. */
export async function openReviewScene({ configuration, ...options }: ReviewSceneOptions = {}): Promise<ReviewScene> {
  const env = testEnv();
  const kms = await privateKms();
  const [namespace, webhook, files] = await Promise.all([
    env.freshNamespace(),
    startWebhook({ kms: kms.info, ...options }),
    ProcessGroup.create(),
  ]);
  const installed = await installConfiguration(env.kube, webhook, {
    namespace,
    ...(configuration && { changes: configuration }),
  });
  const client = new KmsTestClient(kms.info);
  const scene = new ReviewScene({
    env,
    kms,
    client,
    namespace,
    webhook,
    installed,
    files,
    key: await client.createKey(),
  });
  await scene.untilAsked();
  return scene;
}

interface Parts {
  readonly env: TestEnv;
  readonly kms: Private<Kms>;
  readonly client: KmsTestClient;
  readonly namespace: string;
  readonly webhook: Webhook;
  readonly installed: AsyncDisposable;
  readonly files: ProcessGroup;
  readonly key: string;
}

export class ReviewScene implements AsyncDisposable {
  readonly namespace: string;
  readonly webhook: Webhook;
  readonly kube: KubeClient;
  readonly kms: KmsTestClient;
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.namespace = parts.namespace;
    this.webhook = parts.webhook;
    this.kube = parts.env.kube;
    this.kms = parts.client;
  }

  /** Waits until the API server has heard of the configuration. */
  async untilAsked(): Promise<void> {
    const named = { namespace: this.namespace, name: "asked" };
    const bad = kmsVaultSecret(named, { path: "secret/x", secrets: [{ key: "k", encryptedSecret: "no base64!" }] });
    await eventually(async () => {
      const created = await this.kube.create(bad).then(
        () => true,
        () => false,
      );
      if (created) await this.kube.delete(secretPath(named));
      expect(created).toBe(false);
    });
  }

  /** An entry that decrypts. */
  async entry(key: string, value = `value of ${key}`, context: Readonly<Record<string, string>> = {}) {
    return { key, encryptedSecret: await this.kms.encrypt(this.#parts.key, value, context) };
  }

  secret(name: string, spec: object, metadata: object = {}): Manifest {
    return kmsVaultSecret({ namespace: this.namespace, name }, { path: `secret/${name}`, ...spec }, metadata);
  }

  partial(name: string, spec: object): Manifest {
    return partialKMSVaultSecret({ namespace: this.namespace, name }, spec);
  }

  create(name: string, spec: object, metadata: object = {}) {
    return this.kube.create(this.secret(name, spec, metadata));
  }

  createPartial(name: string, spec: object) {
    return this.kube.create(this.partial(name, spec));
  }

  edit(name: string, change: object) {
    return this.kube.patch(secretPath({ namespace: this.namespace, name }), change);
  }

  editPartial(name: string, change: object) {
    return this.kube.patch(partialPath({ namespace: this.namespace, name }), change);
  }

  /** Stores an object without a review, as if it were older than the webhook: while its namespace is left out. */
  async storeUnseen(manifest: Manifest): Promise<void> {
    const path = { apiVersion: "v1", plural: "namespaces", name: this.namespace };
    await this.kube.patch(path, { metadata: { labels: { "kms-vault-operator": "" } } });
    await eventually(() => this.kube.create(manifest));
    await this.kube.patch(path, { metadata: { labels: { "kms-vault-operator": null } } });
    await this.untilAsked();
  }

  /** Decryptions that the webhook asked for since the last time. */
  async decryptions(): Promise<number> {
    const { operations } = await this.kms.calls();
    await this.kms.reset();
    return operations["Decrypt"] ?? 0;
  }

  /** What a person sees who applies a manifest by kubectl: its warnings. Rejects when it is refused. */
  async warnings(manifest: Manifest, ...flags: readonly string[]): Promise<string[]> {
    const { programs, kubernetes } = inject("stack");
    const file = join(this.#parts.files.directory, `${manifest.metadata.name}.json`);
    writeFileSync(file, JSON.stringify(manifest));
    const args = [`--kubeconfig=${kubernetes.kubeconfig}`, "apply", "--server-side", "-f", file, ...flags];
    const { stderr } = await promisify(execFile)(programs.kubectl ?? "kubectl", args);
    return stderr.split("\n").filter((line) => line.startsWith("Warning: "));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { env, kms, client, installed, webhook, files } = this.#parts;
    await installed[Symbol.asyncDispose]();
    await webhook.stop();
    await Promise.all([kms[Symbol.asyncDispose](), client.close(), files.stop()]);
    await Promise.all([env.kube.close(), env.vault.close(), env.kms.close()]);
  }
}

/** Resolves with the words in which the webhook refused. @throws Error when it did not */
export async function denial(request: Promise<unknown>): Promise<string> {
  const refused: unknown = await request.then(
    () => new Error("it was let through"),
    (error: unknown) => error,
  );
  if (!(refused instanceof HttpError)) throw refused;
  const { message } = refused.body as { readonly message: string };
  const prefix = /^admission webhook "kms-vault-validating-webhook\.patoarvizu\.dev" denied the request: /;
  expect(message).toMatch(prefix);
  expect(refused.status).toBe(403);
  return message.replace(prefix, "");
}
