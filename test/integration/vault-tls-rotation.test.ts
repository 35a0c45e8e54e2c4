// Every certificate is replaced while fifty requests are under way at any time: the authority, the server's, and the
// client's, its certificate well before its key. No request fails, those not that were connecting at that moment.
import { expect, test } from "vitest";
import { createAuthority } from "../env/certificates.ts";
import { testEnv } from "../env/context.ts";
import { eventually } from "../env/eventually.ts";
import { withFiles } from "./temporary-files.ts";
import { vaultOn } from "./vault-fixture.ts";
import { startFront } from "./vault-front.ts";

const { vault: shared } = testEnv().stack;
const place = { namespace: "", mount: "nowhere", engineVersion: "v1", path: "x" } as const;
const atOnce = 50;

test("no request fails while authority, server certificate and client certificate are replaced", async () => {
  const [before, after] = await Promise.all([createAuthority("before"), createAuthority("after")]);
  const [oldServer, newServer, oldClient, newClient] = await Promise.all([
    before.server("vault"),
    after.server("vault"),
    before.client("old", "operators"),
    after.client("new", "operators"),
  ]);
  const ca = [before.caPem, after.caPem];
  await using front = await startFront(shared, { tls: { ca, cert: oldServer.certPem, key: oldServer.keyPem } });
  await using files = await withFiles({ ca: before.caPem, cert: oldClient.certPem, key: oldClient.keyPem });
  const { vault, logs } = vaultOn(
    { ...shared, address: front.address },
    {
      transport: {
        caCert: files.path("ca"),
        clientCert: files.path("cert"),
        clientKey: files.path("key"),
        maxRetries: 0,
        timeoutMs: 20_000,
      },
    },
  );
  const access = vault.access({ method: "token", namespace: "" });
  const failures: unknown[] = [];
  const end = new AbortController();
  const workers = Array.from({ length: atOnce }, async () => {
    while (!end.signal.aborted) await access.read(place).catch((error: unknown) => failures.push(error));
  });
  const lastClient = () => front.arrived.at(-1)?.client;
  await eventually(() => expect(lastClient()).toBe("old"));

  let changes = 0;
  /** Resolves when a change counts. @returns how long it took, ms */
  async function change(name: string, content: string): Promise<number> {
    await files.write(name, content);
    const start = performance.now();
    changes += 1;
    await eventually(() => expect(logs.count("TLS files for Vault changed")).toBe(changes), { everyMs: 5 });
    return performance.now() - start;
  }

  const took = [await change("ca", before.caPem + after.caPem)];
  front.rotate({ ca, cert: newServer.certPem, key: newServer.keyPem });
  await files.write("cert", newClient.certPem);
  await eventually(() => expect(logs.count("TLS files for Vault unusable, keeping the last")).toBe(1));
  const done = front.arrived.length;
  await eventually(() => expect(front.arrived.length).toBeGreaterThan(done + 4 * atOnce));
  expect(lastClient()).toBe("old");
  took.push(await change("key", newClient.keyPem));
  await eventually(() => expect(lastClient()).toBe("new"));
  took.push(await change("ca", after.caPem));
  const known = front.connections();
  await eventually(() => expect(front.connections()).toBeGreaterThan(known));

  end.abort();
  await Promise.all(workers);
  await vault.close();
  expect(failures).toEqual([]);
  // Half a second and what the machine, which serves all of this, is busy with.
  for (const ms of took) expect(ms).toBeLessThan(5_000);
});
