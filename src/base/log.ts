// The shape of a logger, so that folders which may not import each other (and not telemetry) can be handed one.
// pino satisfies it. Messages are constant texts; everything that varies is a field.

/** Fields of a log line. Never a value, a ciphertext or a token; errors go under `error`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** A structured logger: fields first, then a constant message. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}
