// A guard at the door: asked when a request is about to be written, not when somebody decides to send it.
import type { Dispatcher } from "undici";

/** What the guard threw, on its way out through undici. */
export class Refused extends Error {}

/**
 * Asks the guard at the last moment, when the request is about to be written: it may have waited for credentials, for
 * a free connection or for its handshake, and the Lease may have been lost meanwhile.
 */
export function guardBy(beforeMutation: () => void): Dispatcher.DispatcherComposeInterceptor {
  return (dispatch) => (options, handler) => {
    const start = handler.onRequestStart?.bind(handler);
    handler.onRequestStart = (controller, context) => {
      try {
        beforeMutation();
      } catch (error) {
        throw new Refused("refused by the guard", { cause: error });
      }
      start?.(controller, context);
    };
    return dispatch(options, handler);
  };
}
