import { z } from 'zod';
import { createGenerations, type Generations, touch } from '../generations.ts';
import { addDistinct, type Distinct, evidenceOf } from '../marks.ts';
import { defineRule } from '../rule.ts';
import { count, HOUR, MINUTE } from './units.ts';

const createDistinct = (): Distinct => new Map();

export const permissionProbing = defineRule({
  id: 'B1',
  version: 1,
  name: 'permission-probing',
  title: 'A principal looks for what it may do',
  condition:
    'at least {things} different pairs of resource and permission denied within {window}, or at least {modelThings} of them on one model',
  beside:
    'A batch job that lost a right and tries one thing ten thousand times: one pair of resource and permission.',
  per: 'principal, and principal and model',
  attack: ['T1613'],
  atlas: ['AML.T0007'],
  defaults: { severity: 'high', response: 'throttle', windowMs: 10 * MINUTE, holdMs: HOUR },
  params: z.strictObject({
    things: count(10, 'different things denied', 64),
    modelThings: count(4, 'different things denied on one model', 64),
  }),
  sigma: {
    selection: { 'reason|startswith': 'access.', decision: 'deny' },
    correlations: ({ things }) => [
      { type: 'value_count', groupBy: ['principal.id'], field: 'resource', gte: things },
    ],
    without: 'Different permissions on one resource, and the limit for one model, are left out.',
  },
  on: ['denied'],
  start: ({ windowMs }): Generations<Distinct> => createGenerations(windowMs),
  observe({ state, settings }, { event, raise }) {
    const { principal, model, time, mark, entry } = event;
    if (principal === '') return;
    const { params, windowMs } = settings;
    const thing = `${entry.permission ?? entry.action} ${entry.resource ?? ''}`;
    const all = touch(state, principal, time, createDistinct);
    if (addDistinct(all, thing, mark, params.things, windowMs) >= params.things)
      raise({ key: { principal }, evidence: () => evidenceOf(all.values()) });
    if (model === '') return;
    const here = touch(state, event.use, time, createDistinct);
    if (addDistinct(here, thing, mark, params.modelThings, windowMs) >= params.modelThings)
      raise({ key: { principal, model }, evidence: () => evidenceOf(here.values()) });
  },
});

export const enumeration = defineRule({
  id: 'B2',
  version: 1,
  name: 'enumeration',
  title: 'Names of models are tried',
  condition: 'at least {models} different models answered with 403 or 404 within {window}',
  beside: 'A client whose one model was deleted asks for it again and again.',
  per: 'principal; the address of one without',
  attack: ['T1595.003'],
  atlas: [],
  defaults: { severity: 'medium', response: 'throttle', windowMs: 5 * MINUTE, holdMs: 15 * MINUTE },
  params: z.strictObject({ models: count(20, 'different models', 256) }),
  sigma: {
    selection: { 'http.status': [403, 404], 'resource|contains': '/models/' },
    correlations: ({ models }) => [
      { type: 'value_count', groupBy: ['principal.id'], field: 'resource', gte: models },
    ],
    without: 'It counts resources, which may be several of one model.',
  },
  on: ['missed'],
  start: ({ windowMs }): Generations<Distinct> => createGenerations(windowMs),
  observe({ state, settings }, { event, raise }) {
    const { principal, address, model, time, mark } = event;
    const who = principal === '' ? address : principal;
    if (model === '' || who === '') return;
    const { params, windowMs } = settings;
    const models = touch(state, who, time, createDistinct);
    if (addDistinct(models, model, mark, params.models, windowMs) < params.models) return;
    raise({
      key: principal === '' ? { address } : { principal },
      evidence: () => evidenceOf(models.values()),
    });
  },
});
