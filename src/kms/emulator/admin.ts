// The emulator's admin routes: faults and counters, for whoever can reach loopback. Errors say what would be right.
import { z } from "zod";
import type { CallCounter, Faults } from "./faults.ts";

/** An HTTP status and a JSON body. */
export interface AdminAnswer {
  readonly status: number;
  readonly json: object;
}

/**
 * Answers `POST /_admin/faults` (replaces all faults; `{}` ends them), `GET /_admin/calls` and `POST /_admin/reset`
 * (no faults, counters at zero; the keys stay).
 */
export function adminRoute(
  method: string | undefined,
  url: string,
  body: string,
  { faults, calls }: { readonly faults: Faults; readonly calls: CallCounter },
): AdminAnswer {
  switch (`${method} ${url}`) {
    case "POST /_admin/faults":
      try {
        return { status: 200, json: faults.set(JSON.parse(body)) };
      } catch (error) {
        const message = error instanceof z.ZodError ? z.prettifyError(error) : "the body is no JSON";
        return { status: 400, json: { message } };
      }
    case "GET /_admin/calls":
      return { status: 200, json: calls.counts() };
    case "POST /_admin/reset":
      faults.set({});
      calls.reset();
      return { status: 200, json: {} };
    default:
      return {
        status: 404,
        json: { message: "admin routes: POST /_admin/faults, GET /_admin/calls, POST /_admin/reset" },
      };
  }
}
