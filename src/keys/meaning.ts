/**
 * What each operation does to someone who has a copy of an old key: the three are easily confused, and only the last
 * one answers a leak. Said with every result.
 */
export const MEANING = {
  rotate:
    'New data is sealed under the new version. What was sealed before stays under its old version and still opens with it; nothing is revoked.',
  'rotate-sign':
    'The audit log goes on under the old version until the keep is started again. Then it announces the new one in an entry, and both sign for as long as audit.keyOverlapDays says; after that, the new one alone. Give verifiers the new key in time: modelkeep audit vkey.',
  rewrap:
    'The old key versions are no longer needed for what was moved, and may be destroyed once nothing names them. Whoever kept an old header and an old key can still read that data: the data keys are the same.',
  reencrypt:
    'What was moved has new data keys: an old key version, with or without an old header, opens none of it as it is stored now. Copies and backups from before still open with the old key.',
  compromised:
    'What is sealed under the version is no longer opened, except to move it. Run reencrypt to give it new data keys; a rewrap would not take it from whoever has the old key.',
  'decrypt-only': 'What is sealed under the version opens; nothing new is sealed under it.',
  destroy:
    'The material is gone from the key ring, and what was encrypted with it outside the keep no longer opens. Backups of the ring from before still hold it, sealed to the root key.',
} as const;

export type Operation = keyof typeof MEANING;
