import type { IndexedEntry } from '../audit-log.ts';
import type { Entry, EntryDraft } from '../entry.ts';
import type { Alert } from './alert.ts';
import { createDetector, type Detector } from './detector.ts';
import { defaultRules, parseRules } from './rules-file.ts';

const START = Date.UTC(2026, 0, 5, 9);
const LEAF = new Uint8Array(32);
const NOBODY = { kind: 'anonymous' } as const;

/** A log being written, for the tests of rules: a moment, and what happens at it. */
export interface Story {
  readonly entries: IndexedEntry[];
  now: number;
  add(draft: Partial<EntryDraft>): void;
  /** A password or key of `principal` was refused at `address`. */
  refuse(principal: string | undefined, address: string, secret: string, more?: Partial<EntryDraft>): void;
  succeed(principal: string, address: string, more?: Partial<EntryDraft>): void;
  deny(principal: string, permission: string, resource: string): void;
  predict(principal: string, input: string, more?: Partial<EntryDraft>): void;
}

export const MODEL = '/projects/p/models/score';

export function createStory(): Story {
  const entries: IndexedEntry[] = [];
  const story: Story = {
    entries,
    now: START,
    add(draft) {
      const entry: Entry = {
        v: 1,
        id: String(entries.length),
        time: new Date(story.now).toISOString(),
        phase: 'single',
        action: 'model.invoke',
        principal: NOBODY,
        decision: 'allow',
        reason: 'allowed',
        ...draft,
      };
      entries.push({ index: entries.length, leaf: LEAF, entry });
    },
    refuse(principal, address, secret, more = {}) {
      story.add({
        principal: principal === undefined ? NOBODY : { ...NOBODY, id: principal },
        source: { address, port: 1 },
        decision: 'deny',
        reason: 'identity.wrong_password',
        http: { method: 'POST', route: '/predict', status: 401 },
        ...more,
        detail: { secretTag: secret, ...more.detail },
      });
    },
    succeed(principal, address, more = {}) {
      story.add({
        action: 'whoami.read',
        principal: { kind: 'user', id: principal },
        credential: { kind: 'password', id: `password:${principal}` },
        source: { address, port: 1 },
        ...more,
      });
    },
    deny(principal, permission, resource) {
      story.succeed(principal, '10.0.0.9', {
        action: permission,
        permission,
        resource,
        decision: 'deny',
        reason: 'access.no_matching_binding',
        http: { method: 'GET', route: '/x', status: 403 },
      });
    },
    predict(principal, input, more = {}) {
      story.succeed(principal, '10.0.0.9', {
        action: 'model.invoke',
        credential: { kind: 'api_key', id: `key_${principal}` },
        resource: MODEL,
        detail: { inputTag: input },
        ...more,
      });
    },
  };
  return story;
}

export function detectorOf(yaml = ''): Detector {
  return createDetector({ rules: yaml === '' ? defaultRules() : parseRules(yaml) });
}

/** The alerts of a story, all rules at work. */
export function alertsOf({ entries }: Pick<Story, 'entries'>, yaml = ''): readonly Alert[] {
  const detector = detectorOf(yaml);
  return entries.flatMap((entry) => detector.observe(entry));
}

/** Rules that raised something, each once, in order. */
export function rulesOf(story: Pick<Story, 'entries'>, yaml = ''): readonly string[] {
  return [...new Set(alertsOf(story, yaml).map(({ rule }) => rule))].toSorted();
}

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
