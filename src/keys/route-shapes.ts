import { z } from 'zod';
import { KEY_NAME, ROTATE_DAYS_MAX } from '../crypto/ring/ring-document.ts';
import type { JobReport } from './key-service.ts';
import type { KeyReport } from './key-report.ts';
import { MEANING, type Operation } from './meaning.ts';

/** The JSON of the key routes. Times are ISO 8601, UTC. */

const name = z.string().regex(KEY_NAME);
const time = z.iso.datetime({ offset: true });
const purpose = z.enum(['wrap', 'seal', 'mac', 'sign']);
const rotateDays = z.int().min(1).max(ROTATE_DAYS_MAX).nullable();

export const keyParams = z.object({ key: name });
export const versionParams = keyParams.extend({ version: z.coerce.number().int().min(1).max(1_000_000) });
export const keyDraft = z.strictObject({
  name,
  purpose: purpose.describe('wrap: age recipient; seal: small values; mac: HMAC; sign: Ed25519 or ML-DSA-44'),
  rotateDays: rotateDays
    .optional()
    .describe('a new version after so many days; null: never by itself; default 90 for wrap and seal'),
});
export const schedule = z.strictObject({ rotateDays });
export const mark = z.strictObject({ state: z.enum(['compromised', 'decrypt-only']) });
export const confirmation = z.strictObject({
  confirm: z.string().max(64).describe('the name of the key').optional(),
});

const count = z.object({ place: z.string(), items: z.number() });
export const key = z.object({
  name: z.string(),
  purpose,
  createdAt: time,
  rotatedAt: time,
  rotateDays: rotateDays,
  rotatesAt: time.nullable().describe('when a new version is made by itself'),
  reencryptingSince: time.nullable().describe('a reencryption that began then has not ended'),
  versions: z.array(
    z.object({
      version: z.number(),
      state: z.enum(['active', 'decrypt-only', 'compromised', 'destroyed']),
      stateSince: time,
      createdAt: time,
      uses: z.number().describe('values sealed with it; kept for wrap and seal keys'),
      items: z.array(count).describe('what the keep still has under it, by place'),
    }),
  ),
});
export const keys = z.object({ keys: z.array(key) });
const meaning = z.string().describe('what this did, and what it did not revoke');
export const changedKey = key.extend({ meaning });
export const recipient = z.object({
  version: z.number(),
  recipient: z.string().describe('an age recipient: whoever has it can encrypt, nobody can decrypt with it'),
});
export const job = z.object({
  key: z.string(),
  version: z.number().describe('the version that items were put under'),
  finished: z.boolean().describe('false: the time of one request is over; call again to go on'),
  moved: z.number(),
  places: z.array(
    z.object({
      place: z.string(),
      rewrapping: z.enum(['rewrap', 'reseal', 'on-use']),
      moved: z.number(),
      left: z.number().describe('items that still name another version than the active one'),
      failures: z.array(z.object({ item: z.string(), reason: z.string() })),
    }),
  ),
  meaning,
});

export function keyView(report: KeyReport): z.infer<typeof key> {
  const { name, purpose, rotateDays, rotatesAt, reencryptingSince, versions } = report;
  return {
    name,
    purpose,
    createdAt: iso(versions[0]?.createdAt ?? 0),
    rotatedAt: iso(versions.at(-1)?.createdAt ?? 0),
    rotateDays,
    rotatesAt: rotatesAt === null ? null : iso(rotatesAt),
    reencryptingSince: reencryptingSince === null ? null : iso(reencryptingSince),
    versions: versions.map(({ version, state, stateSince, createdAt, uses, items }) => ({
      version,
      state,
      stateSince: iso(stateSince),
      createdAt: iso(createdAt),
      uses,
      items: [...items],
    })),
  };
}

export function changedKeyView(report: KeyReport, operation: Operation): z.infer<typeof changedKey> {
  const isSigning = operation === 'rotate' && report.purpose === 'sign';
  return { ...keyView(report), meaning: MEANING[isSigning ? 'rotate-sign' : operation] };
}

export function jobView(report: JobReport, operation: Operation): z.infer<typeof job> {
  const places = report.places.map((place) => ({ ...place, failures: [...place.failures] }));
  return { ...report, places, meaning: MEANING[operation] };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
