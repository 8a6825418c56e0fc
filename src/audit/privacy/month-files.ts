import { mkdir, open, readdir, readFile, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { decryptStream, encryptStream } from '../../crypto/age/age.ts';
import { syncDirectory, writeDurably } from '../../crypto/durable-file.ts';
import type { KeyRing } from '../../crypto/ring/key-ring.ts';
import { privacyProblems } from './problems.ts';
import { createMonthKeyBytes, MONTH_KEY_BYTES } from './month-key.ts';

/** Where the months' keys lie: `2026-11.age`, each sealed to the ring, so that what is deleted is gone for good. */
export interface MonthFiles {
  /** Months whose key is there, oldest first. */
  list(): Promise<readonly string[]>;
  /** Throws `privacy.key_unreadable`. */
  read(month: string): Promise<Buffer>;
  /** The key is durable when it resolves. */
  create(month: string): Promise<Buffer>;
  /** The version of the ring key that the file is sealed to; undefined if none opens it. */
  versionOf(month: string): Promise<number | undefined>;
  /** Seals the key of a month to the active version. Throws `privacy.key_unreadable`. */
  reseal(month: string): Promise<void>;
  /** The file is gone, also after a power failure, when it resolves. */
  remove(month: string): Promise<void>;
}

export type PrivacyRing = Pick<KeyRing, 'recipient' | 'identity' | 'list'>;

/** The ring key, of purpose `wrap`, that every month is sealed to. */
export const PRIVACY_KEY = 'privacy';
const FILE = /^(\d{4}-(?:0[1-9]|1[0-2]))\.age$/;

export function createMonthFiles(directory: string, ring: PrivacyRing): MonthFiles {
  const pathOf = (month: string): string => join(directory, `${month}.age`);
  const openWith = async (month: string, identities: readonly string[]): Promise<Buffer> => {
    const sealed = await readFile(pathOf(month));
    const pieces: Uint8Array[] = [];
    for await (const piece of decryptStream(once(sealed), { identities })) pieces.push(piece);
    const bytes = Buffer.concat(pieces);
    if (bytes.length !== MONTH_KEY_BYTES) throw new Error(`the key has ${bytes.length} bytes`);
    return bytes;
  };
  const write = async (month: string, bytes: Uint8Array, replace: boolean): Promise<void> => {
    const { recipient } = ring.recipient(PRIVACY_KEY);
    const source = encryptStream(once(bytes), { recipients: [recipient] });
    await writeDurably({ path: pathOf(month), replace, source });
  };
  const files: MonthFiles = {
    async list() {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      return (await readdir(directory)).flatMap((name) => FILE.exec(name)?.[1] ?? []).toSorted();
    },
    async read(month) {
      try {
        const identities = versionsOf(ring).map((version) => identityOf(ring, version));
        return await openWith(month, identities);
      } catch (cause) {
        throw privacyProblems.key_unreadable(`privacy/${month}.age cannot be read`, { cause });
      }
    },
    async create(month) {
      const bytes = createMonthKeyBytes();
      await write(month, bytes, false);
      return bytes;
    },
    async versionOf(month) {
      for (const version of versionsOf(ring).toReversed()) {
        const bytes = await openWith(month, [identityOf(ring, version)]).catch(() => undefined);
        bytes?.fill(0);
        if (bytes !== undefined) return version;
      }
      return undefined;
    },
    async reseal(month) {
      const bytes = await files.read(month);
      await write(month, bytes, true);
      bytes.fill(0);
    },
    async remove(month) {
      const path = pathOf(month);
      // For what it is worth on the medium at hand; what counts is that the name is gone and the ring was needed.
      const file = await open(path, 'r+');
      try {
        await file.write(Buffer.alloc((await file.stat()).size), 0, undefined, 0);
        await file.sync();
      } finally {
        await file.close();
      }
      await unlink(path);
      await syncDirectory(dirname(path));
    },
  };
  return files;
}

function versionsOf(ring: PrivacyRing): readonly number[] {
  const versions = ring.list().find(({ name }) => name === PRIVACY_KEY)?.versions ?? [];
  return versions.filter(({ state }) => state !== 'destroyed').map(({ version }) => version);
}

function identityOf(ring: PrivacyRing, version: number): string {
  return ring.identity(PRIVACY_KEY, version, { compromised: true });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  // A copy: whoever reads a stream may overwrite what it was given.
  yield Uint8Array.from(bytes);
}
