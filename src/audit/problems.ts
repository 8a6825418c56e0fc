import { defineProblems } from '../kernel/problem.ts';

export const auditProblems = defineProblems('audit', {
  unavailable: {
    status: 503,
    title: 'The audit log cannot record',
    help: 'Nothing happens here without a durable record, so the action was refused. If the log is overloaded, try again; if a write failed (disk full, file removed, I/O error), the reason is in the operator log and the server must be restarted once it is mended: the log is checked again when it opens.',
  },
  log_corrupt: {
    status: 500,
    title: 'The audit log does not verify',
    help: 'The files under log/ are not what the signed checkpoint says. The detail names the first entry or file that is wrong. Keep a copy as evidence, then restore log/ from a backup. Nothing is repaired silently.',
  },
  key_mismatch: {
    status: 500,
    title: 'The audit log belongs to another key',
    help: 'The log was signed by another key, or under another origin, than the one this keep holds. Restore the key ring that belongs to this log, or move log/ away to begin a new log.',
  },
  entry_invalid: {
    status: 500,
    title: 'An audit entry was refused',
    help: 'An entry held a field that is not in the format, or a value of the wrong type. This is a defect in Modelkeep: entries are written from an allow-list so that nothing else can reach the log.',
  },
  not_found: {
    status: 404,
    title: 'There is no such audit entry',
    help: 'The index is beyond the end of the log. Indices start at 0.',
  },
});
