import { describe, expect, test } from "vitest";
import type { VaultCallError } from "./errors.ts";
import { redirectTarget, serverAt } from "./servers.ts";

test.each([
  ["https://vault:8200", "https://vault:8200", "https://vault:8200", "/v1/"],
  ["http://vault/prefix/", "http://vault", "http://vault", "/prefix/v1/"],
  ["unix:///run/vault.sock", "unix:///run/vault.sock", "http://localhost", "/v1/"],
])("%s", (address, shown, origin, basePath) => {
  expect(serverAt({ address })).toMatchObject({ address: shown, origin, basePath });
});

describe("redirects", () => {
  const from = serverAt({ address: "https://vault:8200" });
  const other = serverAt({ address: "https://other:8200", proxy: { origin: "http://proxy" } });

  function target(location: string | undefined, { status = 307, method = "GET", path = "kv/a%2Fb?list=true" } = {}) {
    return redirectTarget({ status, location, from, request: { method, path } }, [from, other]);
  }

  test.each([
    ["https://vault:8200/v1/kv/a%2Fb?list=true", "https://vault:8200", "/v1/"],
    ["https://other:8200/v1/kv/a%2Fb", "https://other:8200", "/v1/"],
    // Vault loses how the path was encoded; ours is sent again.
    ["https://other:8200/v1/kv/a/b?list=true", "https://other:8200", "/v1/"],
    ["https://vault:8200/behind/v1/kv/a/b", "https://vault:8200", "/v1/"],
    ["/behind/v1/kv/a/b", "https://vault:8200", "/v1/"],
  ])("%s is followed", (location, address, basePath) => {
    expect(target(location)).toMatchObject({ address, basePath });
    expect(target(location, { method: "PUT" })).toMatchObject({ address, basePath });
  });

  test("a proxy on the way to the other server is kept", () => {
    expect(target("https://other:8200/v1/kv/a/b").proxy).toEqual({ origin: "http://proxy" });
  });

  test.each([
    ["https://other:8201/v1/kv/a/b", "other:8201"],
    ["https://third/v1/kv/a/b", "third"],
  ])("%s is refused, and the message names host and variable", (location, host) => {
    const error = thrown(() => target(location));
    expect(error).toMatchObject({ code: "VaultUnavailable", executed: "no", transient: false });
    expect(error.message).toContain(`redirects to https://${host} `);
    expect(error.message).toContain("VAULT_REDIRECT_ADDRS");
  });

  test("nothing goes in the clear from there on", () => {
    expect(thrown(() => target("http://other:8200/v1/kv/a/b")).message).toContain(
      "redirects to http://other:8200 (HTTP 307), where the token would be sent in the clear",
    );
  });

  test.each([
    ["https://vault:8200/login?next=/v1/kv/a/b"],
    ["https://other:8200/v1/kv/other"],
    ["https://user@"],
    [undefined],
  ])("%s is none of Vault's", (location) => {
    expect(thrown(() => target(location)).message).toContain("none of Vault's redirects");
  });

  test.each([
    [301, "GET", true],
    [302, "GET", true],
    [303, "GET", false],
    [308, "GET", true],
    [301, "PUT", false],
    [302, "DELETE", false],
    [308, "POST", true],
  ])("HTTP %i to a %s: followed %s", (status, method, isFollowed) => {
    const follow = () => target("https://other:8200/v1/kv/a/b", { status, method });
    if (isFollowed) expect(follow()).toMatchObject({ address: "https://other:8200" });
    else expect(thrown(follow).message).toContain(`(HTTP ${status})`);
  });
});

function thrown(run: () => unknown): VaultCallError {
  try {
    run();
  } catch (error) {
    return error as VaultCallError;
  }
  throw new Error("nothing was thrown");
}
