// Where transit keys are: in the operator's own Vault, or in another one, which has settings of its own.
import type { PlainValue } from "./base/plaintext.ts";
import type { VariableName } from "./config-reference.ts";
import { parseVaultAddress, withoutOuterSlashes } from "./config-values.ts";
import { addressForm, routeTo, type VariableReader } from "./config-vault-transport.ts";
import type { Credential } from "./vault/auth/credential.ts";
import type { VaultTransportOptions } from "./vault/transport.ts";

/** How these variables are read. */
export interface TransitReader extends VariableReader {
  /** Undefined when unset or empty. */
  secret(name: VariableName): PlainValue | undefined;
}

/** Where transit keys are. */
export interface TransitSettings {
  /** Vault namespace without slashes at its ends; absent: the operator's own, or another Vault's root namespace. */
  readonly transitNamespace?: string;
  /** Absent: the Vault that the operator writes to, by the operator's own login. */
  readonly transitVault?: { readonly transport: VaultTransportOptions; readonly token: Credential };
}

/** Values wait for it, so it is given less time than the Vault that is written to. */
const timeoutMs = 10_000;

/** Reads them. */
export function transitSettings(read: TransitReader): TransitSettings {
  const namespace = read.optional("VAULT_TRANSIT_NAMESPACE", withoutOuterSlashes, "a Vault namespace");
  const address = read.optional("VAULT_TRANSIT_ADDR", parseVaultAddress, addressForm);
  const caCert = read.text("VAULT_TRANSIT_CACERT");
  const value = read.secret("VAULT_TRANSIT_TOKEN");
  const file = read.text("VAULT_TRANSIT_TOKEN_FILE");
  checkTransit(read);
  const token = {
    variable: "VAULT_TRANSIT_TOKEN",
    ...(value !== undefined ? { value } : file !== undefined && { file }),
  };
  const transport = (to: string) => ({
    ...routeTo(to, read),
    timeoutMs,
    maxRetries: 2,
    ...(caCert !== undefined && { caCert }),
  });
  return {
    ...(namespace !== undefined && { transitNamespace: namespace }),
    ...(address !== undefined && { transitVault: { transport: transport(address), token } }),
  };
}

/** A token goes to the server that it is for, and to no other. */
function checkTransit(read: Pick<TransitReader, "text" | "problems">): void {
  const { problems } = read;
  const text = (name: VariableName) => read.text(name);
  const belonging = ["VAULT_TRANSIT_TOKEN", "VAULT_TRANSIT_TOKEN_FILE", "VAULT_TRANSIT_CACERT"] as const;
  const given = belonging.filter((name) => text(name) !== undefined);
  const tokens = given.filter((name) => name !== "VAULT_TRANSIT_CACERT");
  if (text("VAULT_TRANSIT_ADDR") === undefined) {
    for (const name of given)
      problems.push(`${name}: is for the Vault that VAULT_TRANSIT_ADDR names, which is not set`);
  } else if (tokens.length === 0) {
    problems.push("VAULT_TRANSIT_ADDR: needs VAULT_TRANSIT_TOKEN or VAULT_TRANSIT_TOKEN_FILE");
  }
  if (tokens.length > 1) problems.push("VAULT_TRANSIT_TOKEN and VAULT_TRANSIT_TOKEN_FILE: must not be set both");
  if (text("VAULT_TRANSIT_CACERT")?.includes("-----BEGIN")) {
    problems.push("VAULT_TRANSIT_CACERT: must name a file, not hold what is in it");
  }
}
