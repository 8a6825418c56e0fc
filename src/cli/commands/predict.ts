import { open } from 'node:fs/promises';
import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { apiPath } from '../keep-client.ts';
import { parseModelName } from '../resources.ts';

export function addPredictCommand(program: Command, { io, output, withKeep }: CommandContext): void {
  program
    .command('predict <model>')
    .description('send one prediction to PROJECT/MODEL, or to PROJECT/MODEL@VERSION, and print the answer')
    .requiredOption('--input <file>', 'the JSON input; - for stdin')
    .action(async (text: string, options: { input: string }) => {
      const { project, model, version } = parseModelName(text);
      const isNumber = version !== undefined && /^\d+$/.test(version);
      const query = isNumber ? { version } : { alias: version };
      // Opened first: an unreadable file must fail before a request is made.
      const file = options.input === '-' ? undefined : await open(options.input);
      const stream = (file?.createReadStream() ?? io.stdin) as AsyncIterable<Uint8Array>;
      try {
        await withKeep((keep) => {
          const path = apiPath`/projects/${project}/models/${model}/predict`;
          // The exact bytes both ways: reading and writing JSON again would round large numbers.
          const contentType = 'application/json';
          return output.bytes(
            withLineEnd(keep.download({ method: 'POST', path, query, stream, contentType })),
          );
        });
      } finally {
        await file?.close();
      }
    })
    .addHelpText(
      'after',
      example(
        'modelkeep predict fraud/score --input transaction.json',
        `echo '{"value": 3}' | modelkeep predict polarity --input -`,
      ),
    );
}

async function* withLineEnd(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let last: number | undefined;
  for await (const chunk of chunks) {
    last = chunk.at(-1) ?? last;
    yield chunk;
  }
  if (last !== 0x0a) yield Buffer.from('\n');
}
