// Asks whether a request may (still) go out at the moment when it does: until then it may have waited for a connection,
// and whoever waits may lose the right to write meanwhile.
import type { Dispatcher } from "undici";

/** One request's guard. */
export class SendGuard {
  /** Set when the request was refused: with it undici's own error is explained. */
  refusal: { readonly reason: unknown } | undefined;
  readonly #ask: (() => void) | undefined;

  /** @param ask throws when the request may not go out; absent: it may */
  constructor(ask: (() => void) | undefined) {
    this.#ask = ask;
  }

  /** The dispatcher, with the guard before its connections. */
  before(dispatcher: Dispatcher): Dispatcher {
    const ask = this.#ask;
    if (ask === undefined) return dispatcher;
    return dispatcher.compose((dispatch) => (options, handler) => {
      const start = handler.onRequestStart?.bind(handler);
      handler.onRequestStart = (controller, context) => {
        try {
          ask();
        } catch (reason) {
          this.refusal = { reason };
          throw reason;
        }
        start?.(controller, context);
      };
      return dispatch(options, handler);
    });
  }
}
