import * as fc from "fast-check";
import { inspect } from "node:util";
import { expect, test } from "vitest";
import { isDirect, parseProxy } from "./config-vault-proxy.ts";

// The vectors are what Go's golang.org/x/net/http/httpproxy (0.62) decides.
test.each([
  ["", "https://vault.example:8200", false],
  ["", "https://localhost:8200", true],
  ["", "https://127.0.0.1:8200", true],
  ["", "https://127.9.9.9", true],
  ["", "https://[::1]:8200", true],
  ["", "https://localhost.example", false],
  ["", "https://[::ffff:127.0.0.1]", true],
  ["*", "https://vault.example", true],
  ["a,*,b", "https://vault.example", true],
  ["*.example", "https://vault.example", true],
  ["*.example", "https://example", false],
  [".example", "https://vault.example", true],
  [".example", "https://example", false],
  ["example", "https://vault.example", true],
  ["example", "https://example", true],
  ["example", "https://notexample", false],
  ["vault.example:8200", "https://vault.example:8200", true],
  ["vault.example:8200", "https://vault.example:8201", false],
  ["vault.example:443", "https://vault.example", true],
  ["vault.example:80", "http://vault.example", true],
  [" VAULT.example , x", "https://vault.EXAMPLE", true],
  ["10.0.0.0/8", "https://10.1.2.3:8200", true],
  ["10.0.0.0/8", "https://11.1.2.3", false],
  ["10.1.2.3", "https://10.1.2.3:8200", true],
  ["10.1.2.3:8200", "https://10.1.2.3:8200", true],
  ["10.1.2.3:8201", "https://10.1.2.3:8200", false],
  ["fd00::/8", "https://[fd00::1]:8200", true],
  ["fd00::1", "https://[fd00::1]:8200", true],
  ["[fd00::1]:8200", "https://[fd00::1]:8200", true],
  ["[fd00::1]:8201", "https://[fd00::1]:8200", false],
  ["[fd00::1]", "https://[fd00::1]:8200", false],
  ["fd00:0::1", "https://[fd00::1]:8200", true],
  [":8200", "https://vault.example:8200", false],
  ["10.0.0.0/33", "https://10.0.0.1", false],
  ["vault.*", "https://vault.example", false],
  ["svc.cluster.local", "https://vault.vault.svc.cluster.local:8200", true],
  ["10.0.0.0/8", "https://[::ffff:10.0.0.1]", true],
  ["vault.example.", "https://vault.example", false],
  ["10.0.0", "https://10.0.0.1", false],
  ["0.0.1", "https://10.0.0.1", false],
])("NO_PROXY=%j leaves %s alone: %s", (noProxy, server, isExempt) => {
  expect(isDirect(new URL(server), noProxy)).toBe(isExempt);
});

test("any NO_PROXY can be read", () => {
  const entry = fc.oneof(fc.string(), fc.ipV4Extended(), fc.ipV6(), fc.stringMatching(/^[*.:[\]/0-9a-f]*$/));
  fc.assert(
    fc.property(fc.array(entry), fc.webUrl(), (entries, server) => {
      expect(isDirect(new URL(server), entries.join(","))).toBeTypeOf("boolean");
    }),
  );
});

test.each([
  ["http://proxy:3128", "http://proxy:3128"],
  ["https://proxy/", "https://proxy"],
  ["proxy:3128", "http://proxy:3128"],
  ["proxy", "http://proxy"],
  ["http://user:secret@proxy", "http://proxy"],
  ["socks5://proxy:1", undefined],
  ["ftp://proxy", undefined],
  ["http://", undefined],
  ["http://user:%zz@proxy", undefined],
])("parseProxy(%j)", (text, origin) => {
  expect(parseProxy(text)?.origin).toBe(origin);
});

test("a proxy's user and password are a header, and never printed", () => {
  const proxy = parseProxy("http://user:p%40ss@proxy:3128");
  const header = String(proxy?.authorization?.open());
  expect(Buffer.from(header.replace("Basic ", ""), "base64").toString()).toBe("user:p@ss");
  expect(inspect(proxy) + JSON.stringify(proxy)).not.toMatch(/user|p%40ss|p@ss|dXNlc/);
});
