// `kms-vault-operator kms-emulator`: the KMS of development and tests as a process of its own. The URL goes to stdout,
// where scripts read it; everything for people goes to stderr.
import { Command, InvalidArgumentError } from "commander";
import { startKmsEmulator } from "../../kms/emulator/emulator.ts";
import { parseLoopback } from "../../kms/emulator/loopback.ts";

interface Flags {
  readonly listen: string;
  readonly stateFile?: string;
}

/** The subcommand. It ends with exit code 0 on SIGTERM and SIGINT, with 1 when the emulator cannot be started. */
export function kmsEmulatorCommand(): Command {
  return new Command("kms-emulator")
    .description("serve the AWS KMS API on loopback with keys of its own, for development and tests only")
    .option(
      "--listen <host:port>",
      "loopback address to listen on; port 0 takes a free one",
      checkListen,
      "127.0.0.1:4599",
    )
    .option("--state-file <path>", "file in which the keys outlive a restart (it holds them in the clear)")
    .addHelpText(
      "after",
      "\nUse it by AWS_ENDPOINT_URL_KMS=<the url it prints> with any AWS_REGION and any credentials.\n" +
        "Admin routes: POST /_admin/faults, GET /_admin/calls, POST /_admin/reset.",
    )
    .action(serve);
}

function checkListen(listen: string): string {
  try {
    parseLoopback(listen);
    return listen;
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

async function serve(flags: Flags, command: Command): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    process.once("SIGTERM", resolve);
    process.once("SIGINT", resolve);
  });
  try {
    const emulator = await startKmsEmulator(flags);
    process.stderr.write(
      "KMS emulator, for development and tests only: it checks no signatures, its keys are not safe\n",
    );
    process.stdout.write(`${emulator.url}\n`);
    await stopped;
    await emulator.close();
  } catch (error) {
    command.error(`kms-emulator: ${error instanceof Error ? error.message : String(error)}`, { exitCode: 1 });
  }
}
