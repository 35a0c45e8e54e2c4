// Vault as one object sees it, with the tenancy policy before each call: a place that was allowed when a pass began may
// not be any more when it comes to a write.
import type { Destination } from "../vault/kv/engine.ts";
import type { VaultAccess } from "../vault/vault.ts";

/** @param assertAllowed throws when the object may not use a destination; finding one is free to everybody */
export function guardedAccess(access: VaultAccess, assertAllowed: (destination: Destination) => void): VaultAccess {
  function guarded<Rest extends readonly unknown[], T>(
    call: (destination: Destination, ...rest: Rest) => Promise<T>,
  ): (destination: Destination, ...rest: Rest) => Promise<T> {
    return async (destination, ...rest) => {
      assertAllowed(destination);
      return call(destination, ...rest);
    };
  }
  return {
    resolve: (...path) => access.resolve(...path),
    observe: guarded((destination) => access.observe(destination)),
    read: guarded((destination) => access.read(destination)),
    write: guarded((...call) => access.write(...call)),
    writeMetadata: guarded((...call) => access.writeMetadata(...call)),
    remove: guarded((destination) => access.remove(destination)),
    softDelete: guarded((destination) => access.softDelete(destination)),
  };
}
