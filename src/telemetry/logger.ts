// The log: JSON lines, or readable ones on a terminal, written before the call returns, so that the last words of a
// dying process are not lost. What a field may print is decided in fields.ts.
import pino, { type DestinationStream } from "pino";
import type { LogFields, Logger } from "../base/log.ts";
import { printableFields } from "./fields.ts";

export interface LoggerOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  /** `auto`: text when `output` is a terminal, else JSON. */
  readonly format: "auto" | "json" | "text";
  /** Where lines go; standard error when absent. */
  readonly output?: LogOutput;
}

/** A stream that lines are written to; `process.stderr` is one. */
interface LogOutput {
  readonly isTTY?: boolean;
  write(line: string): unknown;
}

/** A logger that can also speak the process's last words. */
export interface ProcessLogger extends Logger {
  fatal(fields: LogFields, message: string): void;
}

/** pino-pretty is loaded only for text. */
export async function createLogger({ level, format, output = process.stderr }: LoggerOptions): Promise<ProcessLogger> {
  const isText = format === "text" || (format === "auto" && output.isTTY === true);
  const logger: ProcessLogger = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: printableFields },
      // fields.ts has made plain objects of the errors already.
      serializers: { err: passed, error: passed },
    },
    isText ? await textStream(output) : output,
  );
  return logger;
}

function passed(value: unknown): unknown {
  return value;
}

/** One readable line per entry, its fields after the message; a stream of this thread, not a worker. */
async function textStream(output: LogOutput): Promise<DestinationStream> {
  // A CommonJS module: only its default export is there both in Node and in the bundle.
  const { default: pretty } = await import("pino-pretty");
  const toText = pretty.prettyFactory({
    colorize: output.isTTY === true,
    translateTime: "SYS:HH:MM:ss.l",
    singleLine: true,
    errorLikeObjectKeys: ["error"],
  });
  return { write: (line) => output.write(toText(line)) };
}
