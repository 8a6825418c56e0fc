import { cp, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyLog } from '../../audit/verify.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { KeepPaths } from '../keep-directory.ts';
import type { Cast } from './cast.ts';

export interface TourOptions {
  readonly base: string;
  readonly cast: Cast;
  readonly paths: KeepPaths;
  readonly vkey: string;
  /** Seals everything recorded so far under a signed checkpoint. */
  readonly seal: () => Promise<void>;
  /** The stored file of a model that is not loaded yet. */
  readonly blobOf: (model: string) => Promise<string>;
  readonly clock: Clock;
  readonly say: (line: string) => void;
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Headers;
  readonly ms: number;
}

/** Shows the keep at work over real HTTP, step by step. Resolves with the steps that did not go as they must. */
export async function giveTour(options: TourOptions): Promise<string[]> {
  const { base, cast, clock, say } = options;
  const failures: string[] = [];
  const expect = (claim: string, holds: boolean): void => {
    if (!holds) failures.push(claim);
    say(`   ${holds ? '✓' : '✗'} ${claim}`);
  };
  const send = async (path: string, body: unknown, authorization?: string): Promise<Answer> => {
    const started = clock.monotonic();
    const response = await fetch(base + path, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, text, headers: response.headers, ms: clock.monotonic() - started };
  };
  const show = async (who: string, path: string, body: unknown, authorization?: string): Promise<Answer> => {
    say(`   ${who}: POST ${path} ${JSON.stringify(body)}`);
    const answer = await send(path, body, authorization);
    const receipt = answer.headers.get('audit-index');
    say(`   ${answer.status} ${shorten(answer.text)}${receipt === null ? '' : `   audit-index: ${receipt}`}`);
    return answer;
  };
  const basic = (name: string, password: string): string =>
    `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
  const ada = basic(cast.ada.name, cast.ada.password.reveal());
  const bob = basic(cast.bob.name, cast.bob.password.reveal());
  const key = `Bearer ${cast.checkout.key.reveal()}`;
  const spamPath = '/projects/default/models/spam/predict';
  const mail = {
    text: 'Congratulations! You are a winner. Click here to claim your free money, no risk, order now!!!',
  };

  say('1. An allowed caller gets a prediction and the index of its audit entry');
  const byPassword = await show('ada, password', '/predict', { value: 3 }, ada);
  expect(
    'the model answers',
    byPassword.text === '{"prediction":"positive"}' && byPassword.headers.has('audit-index'),
  );
  const byKey = await show('checkout, API key', spamPath, mail, key);
  expect('the API key works as well', byKey.status === 200 && byKey.headers.has('audit-index'));

  say('2. Whoever cannot prove who they are gets one and the same refusal');
  const anonymous = await show('nobody', '/predict', { value: 3 });
  expect('no credential is refused', anonymous.status === 401);
  const wrong = await show('ada, wrong password', '/predict', { value: 3 }, basic('ada', 'not-her-password'));
  const unknown = await show(
    'eve, who does not exist',
    '/predict',
    { value: 3 },
    basic('eve', 'not-a-password'),
  );
  expect(
    'the answers are the same but for the request id',
    sameRefusal(anonymous, wrong) && sameRefusal(wrong, unknown),
  );
  say(
    `   a wrong password took ${wrong.ms.toFixed(0)} ms, an unknown name ${unknown.ms.toFixed(0)} ms: both hash once`,
  );

  say('3. A known caller without the right is told which one is missing');
  const denied = await show('bob, viewer', '/predict', { value: 3 }, bob);
  const named =
    /model\.invoke/.test(denied.text) && denied.text.includes('/projects/default/models/polarity');
  expect('the refusal names the permission and the scope', denied.status === 403 && named);

  say('4. The audit log can be checked by anybody who has a copy of it and the verifier key');
  await options.seal();
  const copy = await mkdtemp(join(tmpdir(), 'modelkeep-log-'));
  try {
    await cp(options.paths.log, copy, { recursive: true });
    const sound = await verifyLog(copy, options.vkey);
    expect(`${sound.size} entries verify`, sound.ok && sound.size > 0);
    await flipByte(await entryFileIn(copy), 0.5);
    const tampered = await verifyLog(copy, options.vkey);
    const problem = tampered.problems[0];
    say(`   one byte of the copy flipped: ${problem?.message ?? 'nothing found'}`);
    expect('the entry is named', !tampered.ok && problem?.index !== undefined);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }

  say('5. An encrypted model with one flipped byte is not served');
  const blob = await options.blobOf('iris');
  const flower = { features: [5.1, 3.5, 1.4, 0.2] };
  const path = '/projects/default/models/iris/predict';
  const mend = await flipByte(blob, 0.5);
  try {
    const refused = await show('ada', path, flower, ada);
    expect(
      'the load is refused, and the model is named',
      refused.status >= 500 && refused.text.includes('iris'),
    );
  } finally {
    await mend();
  }
  const served = await show('ada, after the byte was put back', path, flower, ada);
  expect('the mended model serves', served.status === 200);
  return failures;
}

function shorten(text: string): string {
  return text.length > 220 ? `${text.slice(0, 217)}...` : text;
}

function sameRefusal(one: Answer, other: Answer): boolean {
  const withoutId = (answer: Answer): string =>
    JSON.stringify({ ...(JSON.parse(answer.text) as object), requestId: undefined });
  return one.status === other.status && withoutId(one) === withoutId(other);
}

/** Flips one bit of the byte at `fraction` of the file; the returned function puts it back. */
async function flipByte(path: string, fraction: number): Promise<() => Promise<void>> {
  const flip = async (): Promise<void> => {
    const file = await open(path, 'r+');
    try {
      const at = Math.floor((await file.stat()).size * fraction);
      const byte = Buffer.alloc(1);
      await file.read(byte, 0, 1, at);
      byte[0] = (byte[0] ?? 0) ^ 1;
      await file.write(byte, 0, 1, at);
    } finally {
      await file.close();
    }
  };
  await flip();
  return flip;
}

/** The newest entry bundle below `tile/entries`. */
async function entryFileIn(log: string): Promise<string> {
  const root = join(log, 'tile', 'entries');
  const names = (await readdir(root, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
  const newest = names.at(-1);
  if (newest === undefined) throw new Error(`no entries below ${root}`);
  return newest;
}
