import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseReceipt } from '../../src/audit/receipt/receipt.ts';
import { openTestLog } from '../../src/audit/receipt/testing.ts';

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What every verifier of receipts has to accept and to refuse: `run` is given RECEIPT VKEY [NONCES] [INPUT] [OUTPUT]. */
export async function askVerifier(place: string, run: (argv: readonly string[]) => Ended): Promise<void> {
  await using log = await openTestLog();
  const { vkey } = log.audit;
  const file = async (name: string, content: string | Uint8Array): Promise<string> => {
    await writeFile(join(place, name), content);
    return join(place, name);
  };
  const [input, output] = [await file('input', log.input), await file('output', log.output)];
  const text = await log.receipts.full(log.index, log.nonces);
  const whole = await file('receipt', text);
  const { input: inputNonce, output: outputNonce } = log.nonces;
  const header = [inputNonce, outputNonce].map((each) => Buffer.from(each).toString('base64')).join(',');

  const accepts = (...argv: readonly string[]): void => {
    const { status, stdout, stderr } = run(argv);
    assert.equal(status, 0, stderr);
    const entry = JSON.parse(stdout) as { principal: unknown; model: unknown };
    const stored = JSON.parse(Buffer.from(parseReceipt(text).entry).toString()) as typeof entry;
    assert.deepEqual([entry.principal, entry.model], [stored.principal, stored.model]);
  };
  const refuses = (what: string, ...argv: readonly string[]): void => {
    const { status, stdout, stderr } = run(argv);
    assert.deepEqual([status, stdout], [1, ''], what);
    assert.match(stderr, /^refused: /, what);
  };

  accepts(whole, vkey);
  accepts(whole, vkey, '', input, output);
  accepts(await file('bare', await log.receipts.read(log.index)), vkey, header, input, output);
  await log.audit.append({ phase: 'single', ...ALONE });
  accepts(await file('later', await log.receipts.full(log.index)), vkey);

  refuses('another input', whole, vkey, '', output);
  refuses('another output', whole, vkey, '', input, input);
  refuses('no nonce', await file('bare', await log.receipts.read(log.index)), vkey, '', input);
  const shifted = Buffer.concat([inputNonce, log.input.subarray(0, 3)]).toString('base64');
  const rest = await file('rest', log.input.subarray(3));
  refuses('the beginning of the input as the end of its nonce', whole, vkey, shifted, rest);
  await using stranger = await openTestLog({ around: 0 });
  refuses('another key', whole, stranger.audit.vkey);

  const bytes = Buffer.from(text);
  for (let at = 3; at < bytes.length; at += 211) {
    const flipped = bytes.with(at, (bytes[at] as number) ^ (1 << (at % 8)));
    refuses(`byte ${at}`, await file('flipped', flipped), vkey, '', input, output);
  }
  const lines = text.split('\n');
  for (const [what, wrong] of [
    ['an index beyond the log', lines.with(2, 'index 41').join('\n')],
    ['a hash less', lines.toSpliced(4, 1).join('\n')],
    ['a hash more', lines.toSpliced(4, 0, lines[4] as string).join('\n')],
    ['garbage before', `\n${text}`],
    ['garbage behind', `${text}garbage`],
    ['half of it', text.slice(0, text.length / 2)],
    ['nothing', ''],
  ] as const)
    refuses(what, await file('wrong', wrong), vkey);
}

const ALONE = {
  action: 'model.invoke',
  principal: { kind: 'anonymous' },
  decision: 'deny',
  reason: 'identity.unauthenticated',
} as const;
