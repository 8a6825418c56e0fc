import { defineProblems } from '../../kernel/problem.ts';

export const detectionProblems = defineProblems('detection', {
  rules_invalid: {
    status: 422,
    title: 'The detection rules cannot be used',
    help: 'The file named by audit.detection.rules holds something that is no setting of a rule. Every complaint is listed. docs/reference/detections.md names the rules and their settings.',
  },
  rules_unreadable: {
    status: 500,
    title: 'The file of detection rules cannot be read',
    help: 'The file named by audit.detection.rules is missing, or this user may not read it. Correct the path or the permissions, or take the setting out: every rule then keeps its defaults.',
  },
  throttled: {
    status: 429,
    title: 'Predictions are held up',
    help: 'What this caller asks of the model looks like an attempt to copy it, so answers come slower until the time in Retry-After. An administrator sees the alert, and can lift the measure, under /api/v1/audit/blocks.',
  },
  alert_not_found: {
    status: 404,
    title: 'There is no such alert',
    help: 'Alerts are listed for as long as they are remembered; the entries of all alerts are in the audit log, under the action detection.alert.',
  },
  measure_not_found: {
    status: 404,
    title: 'There is no such measure',
    help: 'Measures end by themselves; this one has ended, was lifted, or never was.',
  },
});
