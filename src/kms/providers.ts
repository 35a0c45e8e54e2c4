// Which key service a value is for: what its object names, else what the value's own prefix says, else AWS. A further
// service is one more file with a KeyService, and its name in `Provider`.
import { OperatorError } from "../base/errors.ts";
import type { Decryptor, Provider } from "./cipher.ts";

/** One key service: a Decryptor that knows its own values. */
export interface KeyService extends Decryptor {
  readonly provider: Provider;
  /** Whether a value says by its prefix that it is of this service; a service whose values have none is never named so. */
  owns(encryptedSecret: string): boolean;
}

/** The services, one for each provider. */
export type KeyServices = Readonly<Record<Provider, KeyService>>;

/** One Decryptor over all key services. */
export function byProvider(services: KeyServices): Decryptor {
  const all = Object.values(services);
  return {
    async decrypt(request, call) {
      const named = all.find((service) => service.owns(request.encryptedSecret))?.provider;
      if (call.provider !== undefined && named !== undefined && named !== call.provider) {
        throw new OperatorError(
          "DecodingError",
          `the value is in the form of ${named}, but spec.provider says ${call.provider}; correct spec.provider, leave it out, or encrypt the value again with ${call.provider}`,
        );
      }
      return services[call.provider ?? named ?? "AWS"].decrypt(request, call);
    },
  };
}

/**
 * Whether a list of keys (`--kms-allowed-keys`, the policy's) lets a key be used that has only one name.
 * @param keys absent: any key may be used; `*` in it: likewise
 */
export function isListed(keys: readonly string[] | undefined, key: string): boolean {
  return keys === undefined || keys.includes("*") || keys.includes(key);
}
