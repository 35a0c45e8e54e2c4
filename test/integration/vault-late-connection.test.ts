// A write whose time-out came while it waited for a connection: whoever asked has given up and will decide anew, so it must
// not go out when the connection is there after all.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../../src/base/clock.ts";
import { VaultTransport } from "../../src/vault/transport.ts";
import { createAuthority } from "../env/certificates.ts";
import { testEnv } from "../env/context.ts";
import { freePort } from "../env/ports.ts";
import { withFiles } from "./temporary-files.ts";
import { Logs } from "./vault-fixture.ts";
import { startFront } from "./vault-front.ts";

const { vault: shared } = testEnv().stack;

test("a write that waited too long for its connection is never sent", async () => {
  const authority = await createAuthority("the front's");
  const { certPem, keyPem } = await authority.server("front");
  await using files = await withFiles({ ca: authority.caPem });
  await using front = await startFront(shared, { tls: { cert: certPem, key: keyPem } });

  // Holds connections before the handshake.
  const held: (() => Socket)[] = [];
  const gate = createServer((near) => {
    near.on("error", () => {});
    held.push(() => near.pipe(connect(Number(new URL(front.address).port), "127.0.0.1")).pipe(near));
  });
  const port = await freePort();
  await once(gate.listen(port, "127.0.0.1"), "listening");

  let asked = 0;
  const transport = new VaultTransport(
    { address: `https://127.0.0.1:${port}`, caCert: files.path("ca"), timeoutMs: 300, maxRetries: 0 },
    { clock: systemClock, logger: new Logs() },
  );
  const write = {
    method: "PUT",
    path: "kv/x",
    namespace: "",
    body: { a: "b" },
    beforeSend: () => (asked += 1),
  } as const;
  await expect(transport.send(write)).rejects.toMatchObject({
    message: expect.stringContaining("VAULT_CLIENT_TIMEOUT"),
  });
  // The handshake succeeds now; the connection ends because nobody has a use for it.
  expect(held).toHaveLength(1);
  await Promise.all(held.map((pass) => once(pass(), "close")));
  // The guard is asked once there is a connection.
  expect(asked).toBe(1);
  expect(front.arrived).toEqual([]);
  await transport.close();
  gate.close();
});
