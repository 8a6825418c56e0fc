import type { AnyRule } from '../rule.ts';
import { integrity, selfGrant } from './administration.ts';
import { boundaryProbing } from './boundary.ts';
import { collusion, extractionNovelty, extractionVolume } from './extraction.ts';
import { bruteForce, bruteForceAddress, distributedGuessing, staleClient } from './guessing.ts';
import { canaryKey, deadKey, leakedKey } from './keys.ts';
import { enumeration, permissionProbing } from './probing.ts';
import { spraying, stuffing } from './spraying.ts';
import { successAfterGuessing } from './takeover.ts';

/** Every rule there is, by id. */
export const RULES: readonly AnyRule[] = [
  bruteForce,
  bruteForceAddress,
  spraying,
  stuffing,
  distributedGuessing,
  successAfterGuessing,
  staleClient,
  permissionProbing,
  enumeration,
  deadKey,
  leakedKey,
  canaryKey,
  extractionVolume,
  extractionNovelty,
  boundaryProbing,
  collusion,
  selfGrant,
  integrity,
];
