import { stringify } from 'yaml';
import { type ConfigKey, configKeys } from './key.ts';

const HEAD = `# The configuration of this keep. Everything is commented out: every key has its default. To set one, take away the #
# at the start of its line and of the lines of the sections around it; \`modelkeep config check\` tells whether that is
# right. Secrets stand here by reference only: env:NAME, file:/path. Flags and environment variables win over this file.
`;

/** A `modelkeep.yaml` that sets nothing and names every key of the schema: its meaning, then its default. */
export function configTemplate(): string {
  const lines: string[] = [];
  let before: readonly string[] = [];
  for (const key of configKeys) {
    const path = key.name.split('.');
    const sections = path.slice(0, -1);
    const shared = sections.findIndex((step, depth) => step !== before[depth]);
    if (path[0] !== before[0]) lines.push('');
    if (shared >= 0) {
      sections.slice(shared).forEach((step, more) => lines.push(`#${indent(shared + more)}${step}:`));
    }
    const space = indent(sections.length);
    lines.push(`#${space}# ${aboutOf(key)}`, `#${space}${path.at(-1)}:${valueOf(key)}`);
    before = path;
  }
  return `${HEAD}${lines.join('\n')}\n`;
}

const indent = (depth: number): string => '  '.repeat(depth);

function aboutOf({ about, fallback }: ConfigKey): string {
  return fallback === undefined ? `${about} Not set by default.` : about;
}

function valueOf({ fallback }: ConfigKey): string {
  return fallback === undefined ? '' : ` ${stringify(fallback).trimEnd()}`;
}
