import { z } from 'zod';
import type { ConfiguredRule } from './detector.ts';
import { defaultRules, fillIn, renderDuration } from './rules-file.ts';
import { sigmaFileOf } from './sigma.ts';

/** docs/reference/detections.md, from the table of rules. */
export function renderDetectionsReference(): string {
  const rules = defaultRules();
  const overview = rules.map(
    ({ rule, settings }) =>
      `| [${rule.id}](#${rule.id.toLowerCase()}-${rule.name}) | ${rule.title} | ${settings.severity} | ${settings.response} |`,
  );
  return `${HEAD}\n| rule | finds | severity | response |\n|---|---|---|---|\n${overview.join('\n')}\n${TAIL}\n${rules
    .map(section)
    .join('\n')}`;
}

function section({ rule, settings }: ConfiguredRule): string {
  const params = settings.params as Readonly<Record<string, unknown>>;
  const fill = (words: string): string => fillIn(words, { rule, settings }, '`');
  const { properties = {} } = z.toJSONSchema(rule.params, { io: 'input' });
  const rows = Object.entries(properties).map(([name, property]) => {
    const about = typeof property === 'object' ? (property.description ?? '') : '';
    return `| \`${name}\` | ${text(params[name])} | ${about} |`;
  });
  const techniques = [...rule.attack, ...rule.atlas].join(', ');
  return [
    `## ${rule.id} ${rule.name}\n`,
    `${rule.title}: ${fill(rule.condition)}.\n`,
    `Not this: ${fill(rule.beside)}\n`,
    `| | |\n|---|---|\n| per | ${rule.per} |\n| severity | ${settings.severity} |\n| response | ${settings.response}, for ${renderDuration(settings.holdMs)} |\n| window | ${renderDuration(settings.windowMs)} |\n| techniques | ${techniques === '' ? 'none' : techniques} |\n| Sigma | [${sigmaFileOf({ rule, settings })}](../sigma/${sigmaFileOf({ rule, settings })}) |\n`,
    ...(rows.length === 0 ? [] : [`| setting | default | |\n|---|---|---|\n${rows.join('\n')}\n`]),
  ].join('\n');
}

function text(value: unknown): string {
  if (Array.isArray(value))
    return value.length === 0 ? 'none' : value.map((each) => `\`${each}\``).join(', ');
  return typeof value === 'number' ? String(value) : 'none';
}

const HEAD = `# Detections

<!-- Written by scripts/write-sigma.ts from the table of rules. -->

Rules look at the audit log, and at nothing else, after an entry is durable: they slow no request, and anybody with a copy
of the log can find the same alerts again with \`modelkeep audit replay\`. An alert is an entry of the log itself
(\`detection.alert\`): it names the rule, whom it is about, and up to twenty entries that prove it.
`;

const TAIL = `
## Settings

\`audit.detection.rules\` names a YAML file. What it does not name keeps its default; an unknown rule or setting is refused.

\`\`\`yaml
rules:
  A1: { failures: 30, window: 10m }
  C3: { keys: [key_01J00000000000000000000000] }
  D1: { enabled: false }
  D2: { budget: 5000, response: observe }
\`\`\`

Every rule has \`enabled\`, \`severity\` (low, medium, high, critical), \`response\`, \`window\` and \`hold\` (durations such as
30s, 15m, 2h, 7d). The window is the span in which a rule counts and, for the same key, the time until the next alert;
where a condition below names a span of its own, it is only the latter. \`hold\` is how long a response lasts.

## Responses

| response | what happens |
|---|---|
| observe | nothing but the alert |
| throttle | one request in two seconds of the principal (to the model, where there is one), or of passwords at an address, of those that are not known there |
| step-up | a password of the principal is refused, but where it came in from before; its API keys go on |
| block-pair | the principal is refused at the address; the address as a whole only if nobody came in from it and four in five who tried were refused |
| block-key | the key is refused |

All of them end by themselves, and earlier by \`DELETE /api/v1/audit/blocks/{block}\` or by dismissing the alert. A refusal of
this kind is answered like a wrong secret: it does not tell whether the secret was right.

## What entries hold for this

| field | on | what |
|---|---|---|
| \`detail.secretTag\` | a refused credential | the presented secret |
| \`detail.claimTag\` | a refusal that names nobody there is | the presented name |
| \`detail.inputTag\` | a prediction | the input as received |
| \`detail.nearBoundary\` | a prediction | true where at least three in ten rows of the answer had the two likeliest classes less than 0.05 apart; absent otherwise |
| \`detail.count\` | a coalesced entry | how many attempts it stands for |

Tags are the first sixteen hexadecimal digits of SHA-512/256 over a key of the ring and the text: they tell equal from different,
and without the key they cannot be guessed. Commitments to inputs are salted, each anew, and would tell nothing apart.

## Sigma

Every rule is shipped as a [Sigma](https://sigmahq.io) file too, as far as Sigma can say it: what it cannot is in the
description. pySigma reads all of them, and its SQLite backend makes one query of each, which a test runs over an exported
log. Its Splunk backend knows no order of events, and refuses A6; in a rule of two parts it counts in fixed spans of time.
ATLAS techniques stand in the references, since Sigma's tags know ATT&CK alone.

## What is not found

- Questions close to the decision boundary of a model that answers with labels alone: entries hold neither scores nor
  inputs, and without probabilities no answer is near anything. Nor inputs that are nearly the same as others.
- Countries and autonomous systems: the log knows addresses. A network is a /24 or, of IPv6, a /48.
- Browsers and clients that change: user agents are not looked at.
- An attacker with more keys at once than a rule remembers (250,000 in a window) makes it forget the oldest early. It is
  counted.
`;
