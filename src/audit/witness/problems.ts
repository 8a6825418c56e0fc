import { defineProblems } from '../../kernel/problem.ts';

export const witnessProblems = defineProblems('audit', {
  rolled_back: {
    status: 500,
    title: 'The audit log is older than what a witness has seen',
    help: 'A witness cosigned a checkpoint of this log that the log on this disk does not contain: entries were lost or rewritten. An old copy of log/ (a backup, a snapshot of a virtual machine) was put back, the log was deleted, or a second copy of the keep has been running. Keep this copy as evidence and put back the newest log/. If the entries are lost for good, begin a new log under a new audit.origin; the witness goes on to hold the old one against whoever asks.',
  },
  witness_policy_unreadable: {
    status: 500,
    title: 'The witness policy cannot be read',
    help: 'audit.witness.policy names a file that is not there, or that the user who runs Modelkeep may not read; a relative path starts at the keep. Put the file there, or correct the path. Without the setting the keep starts with no witnesses, and nothing then notices that an old copy of the log was put back.',
  },
  witness_policy: {
    status: 500,
    title: 'The witness policy cannot be used',
    help: 'The file that audit.witness.policy names is not a C2SP tlog-policy, or it does not fit: every line ends in a newline, a name is defined before it is used and listed in one group at most, there is exactly one quorum line, every witness has an address, and if there are log lines this log is among them. The detail names the line.',
  },
});
