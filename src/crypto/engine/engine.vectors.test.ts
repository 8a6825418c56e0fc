import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { streamOf, temporaryDirectory } from '../testing.ts';
import { loadVectors, OUTCOMES, type Vector } from '../age/age.vectors.harness.ts';
import { type AgeTransfer, decryptFile } from './files.ts';

/** The age test kit (C2SP CCTV) through the ways of the engine, with threads for the smallest payload. */

const THREADS = { jobs: 2, parallelBytesMin: 0 };

const vectors = await loadVectors();

test('the test kit is whole', () => {
  assert.equal(vectors.length, 143);
  const outcomes = new Set(vectors.map(({ expect }) => expect));
  assert.deepEqual([...outcomes].toSorted(), ['success', ...Object.keys(OUTCOMES)].toSorted());
});

for (const vector of vectors) {
  test(`${vector.name}: ${vector.expect}, from file to file`, async (t) => {
    const { directory, sealed, opened } = await workspace(t, vector);
    const error = await open(vector, { input: sealed, output: opened, ...THREADS });
    checkOutcome(vector, error);
    if (error !== undefined) {
      assert.deepEqual(await readdir(directory), ['sealed'], 'nothing is left');
      return;
    }
    assert.equal(digest(await readFile(opened)), vector.payload);
  });

  test(`${vector.name}: ${vector.expect}, from pipe to pipe`, async () => {
    const pieces: Buffer[] = [];
    const error = await open(vector, () => {
      // A new try starts again, as a person with another passphrase would.
      pieces.length = 0;
      const output = new Writable({
        write(piece: Buffer, _, done) {
          pieces.push(Buffer.from(piece));
          done();
        },
      });
      return { input: streamOf(vector.file, 70_001), output, ...THREADS };
    });
    checkOutcome(vector, error);
    const released = Buffer.concat(pieces);
    if (vector.payload === undefined) assert.equal(released.length, 0, 'nothing is released');
    else assert.equal(digest(released), vector.payload);
  });
}

/** The failure, if any. One passphrase a call: a person types one. */
async function open(vector: Vector, transfer: AgeTransfer | (() => AgeTransfer)): Promise<unknown> {
  let failure: unknown;
  for (const passphrase of vector.passphrases.length > 0 ? vector.passphrases : [undefined]) {
    const options = typeof transfer === 'function' ? transfer() : transfer;
    const secret = passphrase === undefined ? {} : { passphrase: async () => new Secret(passphrase) };
    failure = await decryptFile({ ...options, identities: vector.identities, ...secret }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure === undefined) break;
  }
  return failure;
}

function checkOutcome({ expect }: Vector, error: unknown): void {
  if (expect === 'success') assert.equal(error, undefined);
  else assert.ok(isProblem(error) && OUTCOMES[expect]?.includes(error.code), String(error));
}

async function workspace(t: TestContext, { file }: Vector) {
  const directory = await temporaryDirectory(t);
  const sealed = join(directory, 'sealed');
  await writeFile(sealed, file);
  return { directory, sealed, opened: join(directory, 'opened') };
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
