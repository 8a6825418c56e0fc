import { z } from 'zod';
import { evidenceOf } from '../marks.ts';
import { defineRule } from '../rule.ts';
import { MINUTE, SECOND } from './units.ts';

const actions = (values: readonly string[], about: string): z.ZodDefault<z.ZodArray<z.ZodString>> =>
  z
    .array(z.string().regex(/^[a-z_-]+\.[a-z_-]+$/))
    .max(256)
    .default([...values])
    .describe(about);

const GUARDED = [
  'audit.configure',
  'audit.erase_month',
  'audit.retention',
  'audit.hold',
  'audit.key_rotate',
  'detection.configure',
  'detection.lift',
  'key.destroy',
  'key.export',
];

export const selfGrant = defineRule({
  id: 'E1',
  version: 1,
  name: 'guarded-change',
  title: 'A right was granted to oneself, or what watches the keep was changed',
  condition: 'a binding created for the principal that creates it, or one of the guarded actions',
  beside: 'An administrator grants a role to somebody else, or creates users.',
  per: 'principal, action and resource',
  attack: ['T1098'],
  atlas: [],
  defaults: { severity: 'high', response: 'observe', windowMs: MINUTE, holdMs: MINUTE },
  params: z.strictObject({ actions: actions(GUARDED, 'guarded actions') }),
  sigma: {
    selection: { action: GUARDED, decision: 'allow' },
    correlations: () => [],
    without:
      'A binding whose `detail.subject` is the `principal.id` of the same entry: Sigma compares no fields.',
  },
  on: ['administered'],
  start: () => undefined,
  observe({ settings }, { event, raise }) {
    const { principal, index, entry } = event;
    if (entry.decision !== 'allow') return;
    const { action, detail, resource = '' } = entry;
    const isSelf =
      action === 'binding.create' &&
      detail?.['effect'] !== 'deny' &&
      principal !== '' &&
      detail?.['subject'] === principal;
    if (!isSelf && !settings.params.actions.includes(action)) return;
    raise({
      key: principal === '' ? {} : { principal },
      variant: `${action} ${resource}`,
      evidence: () => evidenceOf([index]),
    });
  },
});

const BROKEN = [
  'audit.witness_conflict',
  'audit.rolled_back',
  'audit.file_changed',
  'audit.sink_lagging',
  'audit.detection_lagging',
];

export const integrity = defineRule({
  id: 'E2',
  version: 1,
  name: 'integrity',
  title: 'The log, its clock or its witnesses disagree',
  condition:
    'a verification of the log that found something, the clock going back by more than {stepMs} ms, or one of the actions that say so',
  beside: 'A time server that corrects the clock by some milliseconds; a verification that found nothing.',
  per: 'action',
  attack: ['T1562.008', 'T1070'],
  atlas: [],
  defaults: { severity: 'critical', response: 'observe', windowMs: 5 * MINUTE, holdMs: 5 * MINUTE },
  params: z.strictObject({
    stepMs: z
      .number()
      .int()
      .min(0)
      .default(5 * SECOND)
      .describe('milliseconds that the clock may go back'),
    actions: actions(BROKEN, 'actions that are alarms by themselves'),
  }),
  sigma: {
    selection: { action: [...BROKEN, 'audit.clock_step'] },
    correlations: () => [],
    without: 'Every step of the clock counts, however small; a failed verification is `detail.ok: false`.',
  },
  on: ['administered'],
  start: () => undefined,
  observe({ settings }, { event, raise }) {
    const { index, entry } = event;
    const { action, detail } = entry;
    const isBroken =
      (action === 'audit.verify' && detail?.['ok'] === false) ||
      (action === 'audit.clock_step' && Number(detail?.['stepMs'] ?? 0) > settings.params.stepMs) ||
      settings.params.actions.includes(action);
    if (isBroken) raise({ key: {}, variant: action, evidence: () => evidenceOf([index]) });
  },
});
