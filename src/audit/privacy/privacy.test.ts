import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { generateIdentity } from '../../crypto/age/keys.ts';
import { createManualClock, type ManualClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import { isProblem } from '../../kernel/problem.ts';
import type { AuditLog } from '../audit-log.ts';
import { draft } from '../audit-log.contract.ts';
import type { Entry } from '../entry.ts';
import { openAuditLog } from '../log.ts';
import { openMonthKey } from './month-key.ts';
import { type Privacy, openPrivacy } from './privacy.ts';
import { createMonthFiles, type PrivacyRing } from './month-files.ts';
import { createMonthPlace } from './month-place.ts';
import { privacyProblems } from './problems.ts';

const root = mkdtempSync(join(tmpdir(), 'modelkeep-privacy-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const newHome = (): string => join(root, String(count++));
const { privateKey } = generateKeyPairSync('ed25519');

/** A ring of one key, whose older versions still open. */
function createRing(): PrivacyRing & { rotate(): void } {
  const versions = [generateIdentity()];
  return {
    rotate: () => void versions.push(generateIdentity()),
    recipient: () => ({ version: versions.length, recipient: versions.at(-1)?.recipient ?? '' }),
    identity: (_, version) => versions[version - 1]?.identity ?? '',
    list: () => [
      {
        name: 'privacy',
        purpose: 'wrap',
        versions: versions.map((__, at) => ({
          version: at + 1,
          createdAt: 0,
          state: at + 1 === versions.length ? 'active' : 'decrypt-only',
        })),
      },
    ],
  };
}

const at = (text: string): ManualClock => {
  const clock = createManualClock();
  clock.step(Date.parse(text));
  return clock;
};
const source = { address: '192.0.2.7', port: 4711, agent: 'probe/1.0 (ä)' };
const openAt = (directory: string, clock: ManualClock, ring = createRing()): Promise<Privacy> =>
  openPrivacy({ directory, ring, clock, log: silentLog });
const entryWith = (sealed: Entry['source']): Entry => ({
  ...draft(),
  v: 1,
  id: 'x',
  time: '2026-11-05T00:00:00.000Z',
  ...(sealed !== undefined && { source: sealed }),
});

describe('a sealed source', () => {
  it('tells nothing but the family of the address, is equal for equal ones, and comes back whole', async () => {
    const privacy = await openAt(newHome(), at('2026-11-05T00:00:00Z'));
    const time = '2026-11-05T00:00:00.000Z';
    const sealed = privacy.seal(source, time);
    assert.match(sealed?.address ?? '', /^2026-11:[A-Za-z0-9_-]{59}$/);
    assert.equal(sealed?.port, 0);
    assert.doesNotMatch(JSON.stringify(sealed), /192|4711|probe/);
    assert.deepEqual(privacy.seal(source, time), sealed);
    const other = privacy.seal({ ...source, address: '1.1.1.1', port: 9 }, time);
    assert.notEqual(other?.address, sealed?.address);
    assert.equal(other?.address.length, sealed?.address.length);
    assert.notEqual(other?.client, sealed?.client);
    for (const address of ['::1', '2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff'])
      assert.equal(privacy.seal({ address, port: 1 }, time)?.address.length, 110);
    const { client } = sealed ?? {};
    assert.deepEqual(privacy.reveal(entryWith(sealed)).source, source);
    assert.ok(client);
    assert.deepEqual(privacy.sealedForms(source.address)[0], sealed?.address);
    const long = { ...source, agent: 'ü'.repeat(5000) };
    const revealed = privacy.reveal(entryWith(privacy.seal(long, time))).source;
    assert.match(revealed?.agent ?? '', /^ü{100,112}/);
    assert.ok((privacy.seal(long, time)?.client?.length ?? 1e9) <= 512);
  });

  it('leaves what is no address, and what is sealed already, as it is', async () => {
    const privacy = await openAt(newHome(), at('2026-11-05T00:00:00Z'));
    for (const address of ['local', 'in-process', '2026-11:AAAA'])
      assert.deepEqual(privacy.seal({ address, port: 0 }, '2026-11-05T00:00:00.000Z'), { address, port: 0 });
    assert.deepEqual(privacy.reveal(entryWith({ address: 'local', port: 0 })).source, {
      address: 'local',
      port: 0,
    });
  });

  it('is another one next month, whose key is ready before it begins', async () => {
    const clock = at('2026-11-30T23:59:59.999Z');
    const privacy = await openAt(newHome(), clock);
    assert.deepEqual(privacy.months(), ['2026-11', '2026-12']);
    const november = privacy.seal(source, '2026-11-30T23:59:59.999Z');
    const december = privacy.seal(source, '2026-12-01T00:00:00.000Z');
    assert.match(december?.address ?? '', /^2026-12:/);
    assert.notEqual(november?.address.slice(8), december?.address.slice(8));
    clock.advance(1);
    await privacy.prepare();
    assert.deepEqual(privacy.months(), ['2026-11', '2026-12', '2027-01']);
    assert.equal(
      privacy.seal(source, '2030-01-01T00:00:00.000Z'),
      undefined,
      'rather none than a readable one',
    );
  });

  it('opens with no other key, no other use, and not when a bit is changed', () => {
    const key = openMonthKey('2026-11', new Uint8Array(64).fill(1));
    const sealed = key.seal('192.0.2.7', 'address', 16);
    assert.equal(key.open(sealed, 'address'), '192.0.2.7');
    assert.equal(key.open(sealed, 'client'), undefined);
    assert.equal(openMonthKey('2026-11', new Uint8Array(64).fill(2)).open(sealed, 'address'), undefined);
    assert.equal(openMonthKey('2026-12', new Uint8Array(64).fill(1)).open(sealed, 'address'), undefined);
    for (let index = 8; index < sealed.length - 1; index++) {
      const letter = sealed[index] === 'A' ? 'B' : 'A';
      assert.equal(key.open(sealed.slice(0, index) + letter + sealed.slice(index + 1), 'address'), undefined);
    }
    for (const junk of ['', '2026-11:', '2026-11:AAAA', '192.0.2.7', `${sealed}=`])
      assert.equal(key.open(junk, 'address'), undefined);
  });
});

describe('the keys of the months', () => {
  it('outlive a restart and a rotation of the ring key, in files that only the ring opens', async () => {
    const home = newHome();
    const ring = createRing();
    const clock = at('2026-11-05T00:00:00Z');
    const sealed = (await openAt(home, clock, ring)).seal(source, '2026-11-05T00:00:00.000Z');
    ring.rotate();
    const again = await openAt(home, clock, ring);
    assert.deepEqual(again.reveal(entryWith(sealed)).source, source);
    assert.deepEqual(readdirSync(home), ['2026-11.age', '2026-12.age']);
    assert.match(readFileSync(join(home, '2026-11.age'), 'latin1'), /^age-encryption\.org\/v1\n-> X25519 /);
    assert.equal(statSync(join(home, '2026-11.age')).mode & 0o777, 0o600);
    await assert.rejects(openAt(home, clock, createRing()), (error) =>
      isProblem(error, privacyProblems.key_unreadable),
    );
  });

  it('move to the new version of the ring key when it is rotated', async () => {
    const home = newHome();
    const ring = createRing();
    const clock = at('2026-11-05T00:00:00Z');
    await openAt(home, clock, ring);
    const place = createMonthPlace(createMonthFiles(home, ring), ring);
    assert.deepEqual(await place.usage(), [{ key: 'privacy', version: 1, items: 2 }]);
    ring.rotate();
    assert.deepEqual(await place.rewrap?.('artifacts', 9), { moved: 0, failures: [] });
    assert.deepEqual(await place.rewrap?.('privacy', 1), { moved: 1, failures: [] });
    assert.deepEqual(await place.rewrap?.('privacy', 9), { moved: 1, failures: [] });
    assert.deepEqual(await place.usage(), [{ key: 'privacy', version: 2, items: 2 }]);
    assert.deepEqual(await place.rewrap?.('privacy', 9), { moved: 0, failures: [] });
    writeFileSync(join(home, '2026-12.age'), 'damaged');
    assert.deepEqual((await place.rewrap?.('privacy', 9))?.failures, [
      { item: '2026-12', reason: 'no key of the ring opens it' },
    ]);
  });

  it('that are damaged stop the start if they are of this month, and else are a month erased', async () => {
    const home = newHome();
    const ring = createRing();
    const sealed = (await openAt(home, at('2026-11-05T00:00:00Z'), ring)).seal(
      source,
      '2026-11-05T00:00:00.000Z',
    );
    writeFileSync(join(home, '2026-11.age'), 'damaged');
    await assert.rejects(openAt(home, at('2026-11-05T00:00:00Z'), ring), (error) =>
      isProblem(error, privacyProblems.key_unreadable),
    );
    const later = await openAt(home, at('2026-12-05T00:00:00Z'), ring);
    assert.deepEqual(later.reveal(entryWith(sealed)).source, sealed);
  });
});

describe('an erased month', () => {
  it('is revealed by nothing any more, while every leaf of the log stays as it was', async () => {
    const home = newHome();
    const directory = join(home, 'privacy');
    const ring = createRing();
    const clock = at('2026-11-05T00:00:00Z');
    const open = async (): Promise<{ privacy: Privacy; log: AuditLog }> => {
      const privacy = await openPrivacy({ directory, ring, clock, log: silentLog });
      const log = await openAuditLog({
        directory: join(home, 'log'),
        signingKey: privateKey,
        origin: 'keep.test/audit',
        clock,
        log: silentLog,
        privacy,
      });
      return { privacy, log };
    };
    let { privacy, log } = await open();
    const { leaf } = await log.append(draft({ source }));
    clock.step(Date.parse('2026-12-24T00:00:00Z'));
    await privacy.prepare();
    await log.append(draft({ source }));
    const sources = async (): Promise<unknown[]> =>
      (await log.entries({})).entries.map(({ entry }) => log.reveal(entry).source?.address);
    assert.deepEqual(await sources(), ['192.0.2.7', '192.0.2.7']);
    for (const month of ['2026-12', '2027-01'])
      await assert.rejects(privacy.erase(month), (error) => isProblem(error, privacyProblems.month_current));
    await assert.rejects(privacy.erase('2026-10'), (error) =>
      isProblem(error, privacyProblems.month_not_found),
    );

    await privacy.erase('2026-11');
    assert.deepEqual(readdirSync(directory), ['2026-12.age', '2027-01.age']);
    const [later, erased] = await sources();
    assert.equal(later, '192.0.2.7');
    assert.match(String(erased), /^2026-11:/);
    assert.deepEqual(Buffer.from((await log.entry(0))?.leaf ?? []), Buffer.from(leaf));
    assert.deepEqual((await log.verify()).problems, []);
    await log.close();

    ({ privacy, log } = await open());
    assert.match(String((await sources())[1]), /^2026-11:/);
    assert.deepEqual(privacy.months(), ['2026-12', '2027-01']);
    const files = readdirSync(join(home, 'log'), { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile())
      .map((each) => readFileSync(join(each.parentPath, each.name), 'latin1'));
    assert.ok(files.some((text) => text.includes('2026-12:')));
    for (const text of files) assert.doesNotMatch(text, /192\.0\.2\.7|probe/);
    await log.close();
  });
});
