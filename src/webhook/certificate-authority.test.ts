// The certificates that are made: what API servers, which are strict, want of them.
import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { issuePair } from "./certificate-authority.ts";
import { covers } from "./certificate-names.ts";
import { checkPair } from "./check-pair.ts";

const now = Date.parse("2026-11-24T12:00:00Z");
const order = { names: ["hook.ns.svc", "127.0.0.1", "::1"], now, validityMs: 60_000 };

test("a serving certificate for names and addresses, signed by an authority that can sign no other", async () => {
  const pair = await issuePair(order);
  const [leaf, ca] = [new X509Certificate(pair.cert), new X509Certificate(pair.ca)];
  expect(checkPair(pair).fingerprint256).toBe(leaf.fingerprint256);
  expect(leaf.subjectAltName).toBe("DNS:hook.ns.svc, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
  expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1"]);
  expect([leaf.ca, ca.ca]).toEqual([false, true]);
  expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey) && ca.verify(ca.publicKey)).toBe(true);
  expect(Date.parse(leaf.validTo)).toBe(pair.notAfter);
  expect(pair.notAfter).toBe(now + order.validityMs);
  // The key of the authority is nowhere: not even its own certificate is of the key that is handed out.
  expect(Object.keys(pair).toSorted()).toEqual(["ca", "cert", "key", "notAfter"]);
  expect(() => checkPair({ cert: pair.ca, key: pair.key })).toThrow("the private key is of another certificate");
});

test("no two authorities share a name or a key", async () => {
  const pairs = await Promise.all([issuePair(order), issuePair(order)]);
  const [one, two] = pairs.map(({ ca }) => new X509Certificate(ca));
  expect(one?.subject).not.toBe(two?.subject);
  expect(new X509Certificate(pairs[0].cert).verify((two as X509Certificate).publicKey)).toBe(false);
});

test("which names a pair is good for", async () => {
  const pair = await issuePair(order);
  expect(covers(pair, ["hook.ns.svc", "127.0.0.1", "::1"])).toBe(true);
  for (const name of ["hook.ns", "x.hook.ns.svc", "127.0.0.2", "::2"]) expect(covers(pair, [name])).toBe(false);
});

test("what is wrong with a pair is said without quoting it", async () => {
  const { cert, key } = await issuePair(order);
  const torn = key.slice(0, 100);
  for (const [pair, problem] of [
    [{ cert: "", key }, "there is no certificate in it"],
    [{ cert: cert.replace("\nMI", "\nNI"), key }, "a certificate cannot be parsed"],
    [{ cert, key: torn }, "the private key cannot be parsed"],
    [{ cert, key: "" }, "the private key cannot be parsed"],
  ] as const) {
    expect(() => checkPair(pair)).toThrow(problem);
    expect(() => checkPair(pair)).not.toThrow(torn.slice(40, 60));
  }
});
