// Vault on a unix socket, as an agent beside the operator serves it.
import { expect, test } from "vitest";
import { testEnv } from "../env/context.ts";
import { withFiles } from "./temporary-files.ts";
import { Admin, opened, plain, vaultOn } from "./vault-fixture.ts";
import { startFront } from "./vault-front.ts";

const { vault: shared } = testEnv().stack;

test("reads and writes go through the socket, however many at once; without it the message names it", async () => {
  const admin = new Admin(shared);
  const mount = await admin.mount("v2");
  await admin.close();
  await using files = await withFiles();
  const front = await startFront(shared, { socketPath: files.path("agent.sock") });
  const { caFile: _, ...noCa } = shared;
  const { vault } = vaultOn({ ...noCa, address: front.address }, { transport: { maxRetries: 0 } });
  const access = vault.access({ method: "token", namespace: "" });
  const paths = Array.from({ length: 20 }, (_one, index) => `${mount}/x${index}`);
  const found = await Promise.all(
    paths.map(async (path) => {
      const destination = await access.resolve(path);
      await access.write(destination, plain({ path }), 0);
      return opened(await access.read(destination));
    }),
  );
  expect(found).toMatchObject(paths.map((path) => ({ data: { path } })));
  await front[Symbol.asyncDispose]();
  await expect(access.resolve("other/x")).rejects.toMatchObject({
    code: "VaultUnavailable",
    message: expect.stringContaining(`cannot reach Vault at unix://${files.path("agent.sock")} (ENOENT)`),
  });
  await vault.close();
});
