// Values of the Go operator's charts one by one in a table: what each row says, and the parts of what is rendered that
// rows look at.
import { objectOf, type Rendered, type Values } from "../env/helm.ts";
import { containerOf, deploymentsOf, variableOf } from "./chart-matrix.ts";

/** Names of the two Deployments. */
export const operator = "kms-vault-operator";
export const webhook = "kms-vault-validating-webhook";
/** Where the image is unless a value says otherwise. */
export const repository = "docker.io/patoarvizu/kms-vault-operator";
/** Some resources. */
export const limits = { limits: { memory: "1Gi" } };

/** A variable from a Secret. */
export function secretKey(name: string): object {
  return { name, valueFrom: { secretKeyRef: { name: "s", key: "k" } } };
}

/** Values of the webhook, which is on. */
export function withWebhook(values: Values): Values {
  return { validatingWebhook: { enabled: true, ...values } };
}

/** A value of a chart, and what comes of it. */
export interface ValueCase {
  /** The value, by its name. */
  readonly value: string;
  readonly values: Values;
  readonly shows: (rendered: Rendered) => unknown;
  readonly as: unknown;
}

/** The images of all Deployments. */
export const imagesOf = (rendered: Rendered): unknown =>
  deploymentsOf(rendered).map(({ spec }) => spec.template.spec.containers[0].image);
/** A variable's value in the Deployment of that name. */
export const envOf =
  (name: string, of = operator) =>
  (rendered: Rendered) =>
    variableOf(containerOf(rendered, of), name)?.value;
/** The arguments of the Deployment of that name. */
export const argsOf = (of: string) => (rendered: Rendered) => containerOf(rendered, of).args;
/** The pod annotations of all Deployments. */
export const annotationsOf = (rendered: Rendered): unknown =>
  deploymentsOf(rendered).map(({ spec }) => spec.template.metadata.annotations);
/** The labels of the ServiceMonitor of that name. */
export const labelsOf = (name: string) => (rendered: Rendered) =>
  objectOf(rendered, "ServiceMonitor", name).metadata["labels"];
/** The names of the objects of a kind. */
export const kindsOf = (kind: string) => (rendered: Rendered) =>
  rendered.manifests.filter((manifest) => manifest.kind === kind).map(({ metadata }) => metadata.name);
/** The webhook's configuration. */
export const configurationOf = (rendered: Rendered): unknown =>
  objectOf(rendered, "ValidatingWebhookConfiguration", webhook);
