import { createHash } from 'node:crypto';
import { Document, visit } from 'yaml';
import type { ConfiguredRule } from './detector.ts';
import { fillIn, renderDuration } from './rules-file.ts';

const LOGSOURCE = { product: 'modelkeep', service: 'audit' };
const ATLAS = 'https://atlas.mitre.org/techniques/';

/**
 * A rule as Sigma: the entries it looks at, and correlations of them (correlation format 2.0.0), one YAML document each.
 * What Sigma cannot say is told in the description.
 */
export function sigmaOf({ rule, settings }: ConfiguredRule): string {
  const base = `modelkeep_${rule.id.toLowerCase()}`;
  const correlations = rule.sigma.correlations(settings.params);
  const isAlone = correlations.length === 0;
  const common = {
    status: 'stable',
    author: 'Modelkeep',
    // Sigma's tags know ATT&CK alone of the two: ATLAS stands in the references.
    ...(rule.atlas.length > 0 && { references: rule.atlas.map((id) => `${ATLAS}${id}`) }),
    ...(rule.attack.length > 0 && { tags: rule.attack.map((id) => `attack.${id.toLowerCase()}`) }),
  };
  const description = [
    `${rule.title}.`,
    ...(rule.sigma.without === undefined ? [] : [`Not said here: ${rule.sigma.without}`]),
  ].join(' ');
  const entries = {
    title: isAlone ? rule.title : `Entries of ${rule.id}: ${rule.title}`,
    id: uuidOf(base),
    name: base,
    ...common,
    description,
    logsource: LOGSOURCE,
    detection: { selection: rule.sigma.selection, condition: 'selection' },
    falsepositives: [fillIn(rule.beside, { rule, settings })],
    level: isAlone ? settings.severity : 'informational',
  };
  const parts = correlations.map(
    ({ type, groupBy, field, after, gte, timespanMs = settings.windowMs }, at) => {
      const name = correlations.length === 1 ? `${base}_alert` : `${base}_${at + 1}`;
      return {
        title: correlations.length === 1 ? rule.title : `Part ${at + 1} of ${rule.id}: ${rule.title}`,
        id: uuidOf(name),
        name,
        ...common,
        correlation: {
          type,
          rules: after === undefined ? [base] : [`${base}_before`, base],
          'group-by': groupBy,
          timespan: renderDuration(timespanMs),
          ...(gte !== undefined && { condition: { gte, ...(field !== undefined && { field }) } }),
        },
        level: correlations.length === 1 ? settings.severity : 'informational',
      };
    },
  );
  const before = correlations.flatMap(({ groupBy, after, timespanMs = settings.windowMs }) =>
    after === undefined
      ? []
      : [
          {
            title: `Entries before ${rule.id}: ${rule.title}`,
            id: uuidOf(`${base}_before_entries`),
            name: `${base}_before_entries`,
            ...common,
            logsource: LOGSOURCE,
            detection: { selection: after.selection, condition: 'selection' },
            level: 'informational',
          },
          {
            title: `Before ${rule.id}: ${rule.title}`,
            id: uuidOf(`${base}_before`),
            name: `${base}_before`,
            ...common,
            correlation: {
              type: 'event_count',
              rules: [`${base}_before_entries`],
              'group-by': groupBy,
              timespan: renderDuration(timespanMs),
              condition: { gte: after.gte },
            },
            level: 'informational',
          },
        ],
  );
  const both =
    parts.length < 2
      ? []
      : [
          {
            title: rule.title,
            id: uuidOf(`${base}_alert`),
            name: `${base}_alert`,
            ...common,
            correlation: {
              type: 'temporal',
              rules: parts.map(({ name }) => name),
              'group-by': correlations[0]?.groupBy ?? [],
              timespan: renderDuration(correlations[0]?.timespanMs ?? settings.windowMs),
            },
            level: settings.severity,
          },
        ];
  return [entries, ...before, ...parts, ...both].map(yamlOf).join('---\n');
}

export function sigmaFileOf({ rule }: ConfiguredRule): string {
  return `${rule.id.toLowerCase()}-${rule.name}.yml`;
}

function yamlOf(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  // A tag without quotes in a list of one is what Sigma's own rules look like.
  visit(document, { Seq: (_, node) => void (node.flow = false) });
  return document.toString({ lineWidth: 110 });
}

/** The same name gives the same id, in the form of a version 8 UUID (RFC 9562). */
function uuidOf(name: string): string {
  const hex = createHash('sha256').update(`modelkeep/sigma/${name}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
