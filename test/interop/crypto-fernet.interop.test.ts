import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { createFernet, generateFernetKey } from '../../src/crypto/fernet/fernet.ts';
import { createManualClock } from '../../src/kernel/clock.ts';
import { isProblem } from '../../src/kernel/problem.ts';
import { Secret } from '../../src/kernel/secret.ts';

/** The reference implementation of Fernet: Python's `cryptography`, from the system or a virtual environment of its own. */

const run = promisify(execFile);
const ENVIRONMENT = fileURLToPath(new URL('../../node_modules/.cache/interop-py', import.meta.url));
const python = await findPython();
const MISSING = 'Python with the package cryptography is not reachable; pip install cryptography';

/** Reads JSON lines of `[verb, …]` and answers each with a line of JSON; null for an invalid token or key. */
const PEER = `
import sys, json, base64
from cryptography.fernet import Fernet, MultiFernet, InvalidToken
def work(verb, keys, data, *rest):
    f = MultiFernet([Fernet(k) for k in keys])
    if verb == "encrypt": return f.encrypt_at_time(base64.b64decode(data), *rest).decode()
    if verb == "decrypt": return base64.b64encode(f.decrypt_at_time(data, *rest) if rest else f.decrypt(data)).decode()
    if verb == "rotate": return f.rotate(data).decode()
    if verb == "time": return Fernet(keys[0]).extract_timestamp(data)
    if verb == "generate": return Fernet.generate_key().decode()
for line in sys.stdin:
    try: print(json.dumps(work(*json.loads(line))), flush=True)
    except (InvalidToken, ValueError): print("null", flush=True)
`;

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const contents = [
  Buffer.alloc(0),
  Buffer.from('hello'),
  everyByte,
  Buffer.alloc(15, 7),
  Buffer.alloc(16, 7),
  Buffer.alloc(100_000, 9),
];

test('Python reads our tokens, and we read its, over every byte and block size', async (t) => {
  if (python === undefined) return unreachable(t);
  const key = generateFernetKey();
  const ours = createFernet({ keys: [key], clock: createManualClock() });
  const tokens = contents.map((content, index) => ours.encryptAt(content, 1000 + index));
  const answers = await ask([
    ...tokens.map((token) => ['decrypt', [key.reveal()], token]),
    ...tokens.map((token) => ['time', [key.reveal()], token]),
    ...contents.map((content) => ['encrypt', [key.reveal()], content.toString('base64'), 5000]),
  ]);
  contents.forEach((content, index) => {
    assert.equal(answers[index], content.toString('base64'));
    assert.equal(answers[contents.length + index], 1000 + index);
    const theirs = answers[2 * contents.length + index] as string;
    assert.ok(content.equals(ours.decrypt(theirs)));
    assert.equal(ours.extractTimestamp(theirs), 5000);
  });
});

test('both sides agree where a ttl ends, at both ends', async (t) => {
  if (python === undefined) return unreachable(t);
  const key = generateFernetKey();
  const ours = createFernet({ keys: [key], clock: createManualClock() });
  const token = ours.encryptAt(Buffer.from('x'), 1000);
  const cases = [0, 60].flatMap((ttl) =>
    [939, 940, 999, 1000, 1001, 1059, 1060, 1061].map((now) => ({ ttl, now })),
  );
  const answers = await ask(cases.map(({ ttl, now }) => ['decrypt', [key.reveal()], token, ttl, now]));
  cases.forEach(({ ttl, now }, index) => {
    const accepted = (() => {
      try {
        return ours.decryptAt(token, now, { ttl }).length === 1;
      } catch {
        return false;
      }
    })();
    assert.equal(accepted, answers[index] !== null, `ttl ${ttl}, now ${now}`);
  });
});

test('keys and rotations go both ways', async (t) => {
  if (python === undefined) return unreachable(t);
  const [old, next] = (await ask([
    ['generate', [generateFernetKey().reveal()], ''],
    ['generate', [generateFernetKey().reveal()], ''],
  ])) as [string, string];
  const clock = createManualClock();
  const token = createFernet({ keys: [new Secret(old)], clock }).encryptAt(everyByte, 77);
  const [theirs] = await ask([['rotate', [next, old], token]]);
  const after = createFernet({ keys: [new Secret(next)], clock });
  assert.ok(everyByte.equals(after.decrypt(theirs as string)));
  assert.equal(after.extractTimestamp(theirs as string), 77);
  const ours = createFernet({ keys: [new Secret(next), new Secret(old)], clock }).rotate(token);
  assert.deepEqual(
    await ask([
      ['time', [next], ours],
      ['decrypt', [old], ours],
    ]),
    [77, null],
  );
});

test('a whole ring of keys works in Python too: any of them decrypts and tells the time', async (t) => {
  if (python === undefined) return unreachable(t);
  const keys = [generateFernetKey(), generateFernetKey(), generateFernetKey()];
  const names = keys.map((key) => key.reveal());
  const clock = createManualClock();
  const tokens = keys.map((key, index) => createFernet({ keys: [key], clock }).encryptAt(everyByte, index));
  const answers = await ask(tokens.map((token) => ['decrypt', names, token]));
  assert.deepEqual(answers, Array(3).fill(everyByte.toString('base64')));
  const rotated = await ask(tokens.map((token) => ['rotate', names, token]));
  const first = createFernet({ keys: keys.slice(0, 1), clock });
  assert.deepEqual(
    rotated.map((token) => first.extractTimestamp(token as string)),
    [0, 1, 2],
  );
});

test('lenient reading accepts the very texts that Python accepts, of tokens and of keys', async (t) => {
  if (python === undefined) return unreachable(t);
  const key = generateFernetKey();
  const clock = createManualClock();
  const lenient = createFernet({ keys: [key], clock, lenient: true });
  const strict = createFernet({ keys: [key], clock });
  const token = Array.from({ length: 99 }, () => strict.encrypt(Buffer.alloc(15))).find(
    hasBothSpecialLetters,
  );
  assert.ok(token);
  const half = token.length / 2;
  const named = [
    token,
    `${token.slice(0, half)}\n${token.slice(half)}`,
    `${token.slice(0, half)}%%${token.slice(half)}`,
    token.replaceAll('-', '+').replaceAll('_', '/'),
    `${token}=`,
    `${token} `,
    `${token}AAAA`,
    `=${token}`,
    `${token.slice(0, half)}=${token.slice(half)}`,
    token.replace(/.==$/, (end) => `${nextLetter(end[0] as string)}==`),
    token.replace(/=+$/, ''),
    token.replace(/=$/, ''),
    `${token}é`,
    '',
    '====',
  ];
  const texts = [...named, ...mutationsOf(token, 300)];
  const theirs = (await ask(texts.map((text) => ['decrypt', [key.reveal()], text]))).map(
    (answer) => answer !== null,
  );
  assert.deepEqual(
    texts.map((text) => accepts(() => lenient.decrypt(text))),
    theirs,
  );
  assert.ok(theirs.filter(Boolean).length > 20 && theirs.includes(false), 'both kinds were seen');
  assert.deepEqual(
    texts.map((text) => accepts(() => strict.decrypt(text))),
    texts.map((text) => text === token),
  );

  const keys = [...keyTexts(key.reveal()), ...mutationsOf(key.reveal(), 100)];
  const usable = (await ask(keys.map((text) => ['encrypt', [text], '', 1]))).map((answer) => answer !== null);
  assert.deepEqual(
    keys.map((text) =>
      accepts(() => createFernet({ keys: [new Secret(text)], clock, lenient: true }).encrypt(everyByte)),
    ),
    usable,
  );
});

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

function keyTexts(key: string): readonly string[] {
  const standard = Buffer.alloc(32, 0xfb).toString('base64');
  return [key, `${key}\n`, ` ${key}`, standard, key.slice(0, -1), key.slice(1), `${key}=`];
}

/** The letter that differs in the lowest of its six bits, which two characters of padding leave unused. */
function nextLetter(letter: string): string {
  return ALPHABET[ALPHABET.indexOf(letter) ^ 1] as string;
}

/** Texts with a character put in, taken out or replaced, the same ones in every run. */
function mutationsOf(text: string, count: number): readonly string[] {
  const characters = ['=', '==', '%', '\n', '-', '+', 'A', '', '\0', '~'];
  return Array.from({ length: count }, (_, index) => {
    const at = (index * 7919) % (text.length + 1);
    const put = characters[index % characters.length] as string;
    return text.slice(0, at) + put + text.slice(at + (index % 3 === 0 ? 1 : 0));
  });
}

function hasBothSpecialLetters(text: string): boolean {
  return text.includes('-') && text.includes('_');
}

function accepts(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    assert.ok(isProblem(error), String(error));
    return false;
  }
}

async function ask(questions: readonly (readonly unknown[])[]): Promise<readonly unknown[]> {
  const peer = spawn(python as string, ['-c', PEER], { stdio: ['pipe', 'pipe', 'inherit'] });
  peer.stdin.end(questions.map((question) => `${JSON.stringify(question)}\n`).join(''));
  const pieces: Buffer[] = [];
  for await (const piece of peer.stdout as AsyncIterable<Buffer>) pieces.push(piece);
  const answers = Buffer.concat(pieces)
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  assert.equal(answers.length, questions.length);
  return answers;
}

/** A Python that has the package; makes an environment with it if the network allows. */
async function findPython(): Promise<string | undefined> {
  const own = `${ENVIRONMENT}/bin/python3`;
  for (const candidate of [own, 'python3']) if (await hasCryptography(candidate)) return candidate;
  try {
    await access(own).catch(() => run('python3', ['-m', 'venv', ENVIRONMENT], { timeout: 60_000 }));
    await run(own, ['-m', 'pip', 'install', '--quiet', 'cryptography'], { timeout: 120_000 });
  } catch {
    return undefined;
  }
  return (await hasCryptography(own)) ? own : undefined;
}

function hasCryptography(path: string): Promise<boolean> {
  return run(path, ['-c', 'import cryptography.fernet'], { timeout: 30_000 }).then(
    () => true,
    () => false,
  );
}

function unreachable(t: TestContext): void {
  t.diagnostic(MISSING);
  t.skip(MISSING);
}
