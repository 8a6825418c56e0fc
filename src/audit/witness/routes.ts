import { z } from 'zod';
import type { Route } from '../../http/route.ts';
import type { Witnessing } from './witnessing.ts';

const status = z.object({
  size: z.number().describe('entries under the newest checkpoint that was submitted'),
  cosigned: z.number().describe('entries under the newest checkpoint that a quorum has cosigned'),
  waitingMs: z.number().describe('how long the oldest entry without a quorum has waited'),
  stopped: z.string().optional().describe('why nothing is recorded any more'),
  witnesses: z.array(
    z.object({
      name: z.string(),
      url: z.string(),
      size: z.number().describe('entries under the checkpoint that it cosigned last'),
      time: z.number().optional().describe('when it did, seconds since 1970'),
      failure: z.string().optional(),
    }),
  ),
});

export function createWitnessRoutes(
  witnessing: Pick<Witnessing, 'status'>,
): readonly Route<'audit.verify'>[] {
  return [
    {
      tag: 'audit',
      kind: 'read',
      method: 'GET',
      path: '/api/v1/audit/witnesses',
      guard: { permission: 'audit.verify', scope: () => '/audit' },
      audit: 'audit.witnesses',
      summary: 'Show what the witnesses have cosigned, and which of them fail',
      response: status,
      handle: () => ({ body: witnessing.status() }),
    },
  ];
}
