// Who deletes the CRD deletes every object, each with its finalizer: a helm upgrade to a chart without the CRD is
// enough. That must not empty Vault.
import { expect, test } from "vitest";
import { deleteFinalizer } from "../../src/api/kinds.ts";
import { eventually } from "../env/eventually.ts";
import { KubeClient } from "../env/kube-client.ts";
import { privateStack } from "../env/private.ts";
import { condition, openWorld } from "../integration/world.ts";

test("while the CRD is being deleted Vault is left alone, until the object is orphaned by annotation", async () => {
  await using stack = await privateStack();
  await using world = await openWorld({
    servers: { kubernetes: stack.info.kubernetes, vault: stack.info.vault },
    kubeconfig: stack.info.kubernetes.kubeconfig,
    args: ["--sync-period-seconds=0"],
  });
  await world.start();
  const path = `${world.v2}/data/kept`;
  await world.sync("kept", { path, secrets: await world.entries({ k: "v" }) }, { finalizers: [deleteFinalizer] });
  const admin = new KubeClient(stack.info.kubernetes);
  await admin.delete({
    apiVersion: "apiextensions.k8s.io/v1",
    plural: "customresourcedefinitions",
    name: "kmsvaultsecrets.k8s.patoarvizu.dev",
  });
  const blocked = await eventually(async () => {
    const seen = condition(await world.get("kept"), "DeletionBlocked");
    expect(seen).toBeDefined();
    return seen;
  });
  expect(blocked).toMatchObject({ status: "True", reason: "KubernetesError" });
  expect(blocked.message).toContain("the CustomResourceDefinition is being deleted");
  expect(await world.atV2("kept")).toEqual({ k: "v" });
  await world.annotate("kept", { "k8s.patoarvizu.dev/deletion": "orphan" });
  await world.untilGone("kept");
  expect(await world.atV2("kept")).toEqual({ k: "v" });
  await admin.close();
});
