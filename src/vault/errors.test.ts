import { describe, expect, test } from "vitest";
import { cleaned, isOutage, isSealed, outage, quoted, refused, sealed, unreachable } from "./errors.ts";

const address = "https://vault:8200";

describe("texts of Vault's", () => {
  test("lose what we sent, longest first, and their line breaks", () => {
    const texts = cleaned(["1 error occurred:\n\t* bad value canary-long and canary\n\n"], ["canary", "canary-long"]);
    expect(texts).toEqual(["1 error occurred: * bad value [removed] and [removed]"]);
  });

  test.each(["hvs.CAESIJn1dLLkqyXWmcAWBx", "s.pWmo9iUbySycnVzbnfYURCMq", "eyJhbGciOi.eyJpc3Mi.c2ln", "A1".repeat(20)])(
    "lose what looks like a credential: %s",
    (token) => {
      expect(cleaned([`token ${token} refused`], [])).toEqual(["token [removed] refused"]);
    },
  );

  test("keep paths and words, and what is too short to be recognised", () => {
    const text = 'no handler for route "team-with-a-rather-long-name/secrets-of-the-service/data/x"';
    expect(cleaned([text], ["x", "the"])).toEqual([text]);
  });

  test("are cut", () => {
    expect(cleaned(["word ".repeat(200)], [])[0]).toHaveLength(301);
  });
});

describe("no usable answer", () => {
  test.each([
    ["ECONNREFUSED", "no", true],
    ["UND_ERR_CONNECT_TIMEOUT", "no", true],
    ["ECONNRESET", "maybe", true],
    ["UND_ERR_SOCKET", "maybe", true],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "no", false],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "no", false],
  ])("%s: executed %s, transient %s", (code, executed, transient) => {
    const error = unreachable(address, Object.assign(new Error("x"), { code }));
    expect(error).toMatchObject({ code: "VaultUnavailable", retry: "backoff", executed, transient });
    expect(error.message).toContain(code);
    expect(error.message).toContain(address);
  });

  test("a parser error's bytes are left behind", () => {
    const cause = Object.assign(new Error("Response does not match"), { code: "HPE_INVALID", data: "canary" });
    expect(JSON.stringify(Object.entries(unreachable(address, cause).cause as object))).not.toContain("canary");
  });
});

describe("outages", () => {
  test.each([
    [503, [], undefined, "VaultUnavailable", "maybe", true],
    [503, [], 1_000, "VaultUnavailable", "no", true],
    [429, [], undefined, "VaultUnavailable", "no", true],
    [412, [], undefined, "VaultUnavailable", "no", true],
    [500, ["internal error"], undefined, "VaultUnavailable", "maybe", true],
    [501, [], undefined, "VaultUnavailable", "maybe", false],
    [472, [], undefined, "VaultUnavailable", "no", true],
    [473, [], undefined, "VaultUnavailable", "no", true],
  ])("HTTP %i %j, Retry-After %s: %s, executed %s", (status, errors, retryAfterMs, code, executed, transient) => {
    expect(isOutage(status)).toBe(true);
    expect(outage({ address, status, errors, retryAfterMs })).toMatchObject({
      code,
      executed,
      transient,
      retryAfterMs,
    });
  });
});

test.each([200, 204, 400, 403, 404, 405, 413])("HTTP %i is an answer", (status) => {
  expect(isOutage(status)).toBe(false);
});

test.each([
  [true, "is sealed: unseal it"],
  [false, "is not initialised yet: run `bao operator init`"],
  [undefined, "is sealed, or not initialised yet: unseal it"],
])("sealed, initialised %s: what to do", (initialised, message) => {
  const error = sealed(address, initialised);
  expect(error).toMatchObject({ code: "VaultSealed", executed: "no", transient: false });
  expect(error.message).toContain(`Vault at ${address} ${message}`);
  expect([isSealed(503, ["Vault is sealed"]), isSealed(503, []), isSealed(500, ["sealed"])]).toEqual([
    true,
    false,
    false,
  ]);
});

test.each([
  [[], undefined, ""],
  [["a", "b"], undefined, ' ("a", "b")'],
  [["a"], "1-2", ' ("a", request 1-2)'],
  [[], "1-2", " (request 1-2)"],
])("quoted(%j, %s)", (errors, requestId, text) => {
  expect(quoted(errors, requestId)).toBe(text);
});

test("a proxy on the way is named", () => {
  const error = unreachable(address, Object.assign(new Error("x"), { code: "UND_ERR_ABORTED" }), "http://proxy:3128");
  expect(error.message).toContain("through the proxy http://proxy:3128 (UND_ERR_ABORTED)");
});

describe("refusals", () => {
  const asked = { doing: "writing", where: "secret/data/x", capability: "create and update" };

  test.each([
    [403, ["permission denied"], [], "VaultPermissionDenied"],
    [404, [], ["Invalid path for a versioned K/V secrets engine"], "EngineMismatch"],
    [404, ['no handler for route "x"'], [], "NotKV"],
    [404, ["namespace not found"], [], "EngineUnknown"],
    [400, ["Upgrading from non-versioned to versioned data"], [], "VaultUnavailable"],
    [400, [], [], "InvalidSpec"],
    [413, ["put failed due to value being too large"], [], "InvalidSpec"],
    [405, ["unsupported operation"], [], "VaultUnavailable"],
  ])("HTTP %i %j %j is %s and names the path", (status, errors, warnings, code) => {
    const error = refused({ status, errors, warnings }, asked);
    expect(error.code).toBe(code);
    expect(error.message).toContain("secret/data/x");
  });

  test("a denial names the capability", () => {
    expect(refused({ status: 403, errors: [], warnings: [] }, asked).message).toContain("grant create and update");
  });
});
