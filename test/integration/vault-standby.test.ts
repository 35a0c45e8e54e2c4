// A real standby. It forwards what it is asked, unless the request says otherwise; the server in front of it here says so,
// and the standby's own redirect comes back: to the address by which the active server is known.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createAuthority } from "../env/certificates.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { JsonClient } from "../env/http.ts";
import { startVault, type VaultInfo } from "../env/openbao.ts";
import { freePorts } from "../env/ports.ts";
import { ProcessGroup } from "../env/processes.ts";
import { Admin, plain, vaultOn } from "./vault-fixture.ts";
import { startFront } from "./vault-front.ts";

const { programs } = testEnv().stack;
const identity = { method: "token", namespace: "" } as const;

/** Joins the cluster of an active server. */
async function startStandby(group: ProcessGroup, active: VaultInfo): Promise<{ address: string; caPem: string }> {
  const [port = 0, clusterPort = 0] = await freePorts(2);
  const authority = await createAuthority("the standby's");
  const { certPem, keyPem } = await authority.server("standby");
  const directory = join(group.directory, "standby");
  const file = (name: string) => join(directory, name);
  await mkdir(file("data"), { recursive: true });
  await Promise.all([writeFile(file("server.crt"), certPem), writeFile(file("server.key"), keyPem)]);
  const address = `https://127.0.0.1:${port}`;
  const joining = [{ leader_api_addr: active.address, leader_ca_cert_file: active.caFile }];
  const configuration = {
    storage: { raft: { path: file("data"), node_id: "standby", retry_join: joining } },
    listener: {
      tcp: {
        address: `127.0.0.1:${port}`,
        cluster_address: `127.0.0.1:${clusterPort}`,
        tls_cert_file: file("server.crt"),
        tls_key_file: file("server.key"),
      },
    },
    api_addr: address,
    cluster_addr: `https://127.0.0.1:${clusterPort}`,
    // The active server's, or the standby could not audit what it answers itself.
    audit: [{ type: "file", path: "to-file", options: { file_path: file("audit.log") } }],
  };
  await writeFile(file("config.json"), JSON.stringify(configuration));
  const client = new JsonClient(address, { caPem: authority.caPem });
  const health = async () => (await client.ask({ method: "GET", path: "/v1/sys/health" })).status;
  await group.start({
    name: "standby",
    program: programs.bao,
    args: ["server", `-config=${file("config.json")}`, "-log-level=warn"],
    ready: async () => (await health()) > 0,
  });
  await eventually(async () => {
    await client.send({ method: "PUT", path: "/v1/sys/unseal", body: { key: active.unsealKey } });
    // 429: unsealed, and standing by.
    expect(await health()).toBe(429);
  });
  await client.close();
  return { address, caPem: authority.caPem };
}

test("a standby's redirect leads to the active server, for reads and writes, if it is named", async () => {
  const group = await ProcessGroup.create();
  const { info: active } = await startVault(group, programs.bao, { persistent: true });
  const standby = await startStandby(group, active);
  const admin = new Admin(active);
  const mount = await admin.mount("v1");
  await using front = await startFront(standby, { headers: { "x-vault-no-request-forwarding": "true" } });
  const place = { namespace: "", mount, engineVersion: "v1", path: "a b" } as const;
  const address = front.address;

  const { vault } = vaultOn({ ...active, address }, { transport: { redirects: [{ address: active.address }] } });
  await vault.access(identity).write(place, plain({ key: "value" }));
  expect((await vault.access(identity).read(place)).state).toBe("present");
  expect(await admin.send("GET", `${mount}/a%20b`)).toMatchObject({ data: { key: "value" } });
  await vault.close();

  const unnamed = vaultOn({ ...active, address });
  await expect(unnamed.vault.access(identity).read(place)).rejects.toMatchObject({
    code: "VaultUnavailable",
    message: expect.stringMatching(`redirects to ${active.address} .HTTP 307.*VAULT_REDIRECT_ADDRS`),
  });
  await unnamed.vault.close();
  await admin.close();
  await group.stop();
});
