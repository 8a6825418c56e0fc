import type { EventEmitter } from 'node:events';
import type { Argument, Command, Option } from 'commander';

/**
 * The manual of every command as one Markdown page, from the tree that parses them: what the page says and what the
 * program accepts cannot part ways.
 */
export function cliReference(program: Command): string {
  const sections = commandsOf(program).map((command) => section(command));
  const globals = program.options.filter((option) => !option.hidden);
  return [
    '# Command line\n',
    `<!-- Written by scripts/write-cli-reference.ts from the command tree. -->\n`,
    `${program.description()}\n`,
    'Results go to stdout, everything else to stderr.\n',
    '| exit code | meaning |\n|---|---|\n| 0 | done |\n| 1 | failed |\n| 2 | wrong usage |\n| 3 | verification failed |\n| 4 | denied |\n',
    '## Options of every command\n',
    optionTable(globals),
    ...sections,
  ].join('\n');
}

/** Every command that does something, in the order of the help text, with groups left out. */
export function commandsOf(program: Command): readonly Command[] {
  return program.commands.flatMap((command) =>
    command.commands.length > 0 ? commandsOf(command) : [command],
  );
}

/** `users create` */
export function nameOf(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at?.parent; at = at.parent) names.unshift(at.name());
  return names.join(' ');
}

function section(command: Command): string {
  const name = nameOf(command);
  const described = command.registeredArguments.filter((argument) => argument.description !== '');
  const options = command.options.filter((option) => !option.hidden);
  return [
    `## ${name}\n`,
    `\`\`\`text\nmodelkeep ${[name, command.usage().replace(/^\[options\] ?/, '')].join(' ').trim()}\n\`\`\`\n`,
    `${sentence(command.description())}\n`,
    ...(described.length === 0 ? [] : [argumentTable(described)]),
    ...(options.length === 0 ? [] : [optionTable(options)]),
    ...examplesOf(command),
  ].join('\n');
}

function argumentTable(rows: readonly Argument[]): string {
  const lines = rows.map((row) => `| \`${row.name()}\` | ${cell(row.description, row.defaultValue)} |`);
  return `| argument | |\n|---|---|\n${lines.join('\n')}\n`;
}

function optionTable(rows: readonly Option[]): string {
  const lines = rows.map((row) => `| \`${row.flags}\` | ${cell(row.description, row.defaultValue)} |`);
  return `| option | |\n|---|---|\n${lines.join('\n')}\n`;
}

function cell(description: string, fallback: unknown): string {
  const shown = typeof fallback === 'string' ? ` (default: \`${fallback}\`)` : '';
  return `${description.replaceAll('|', '\\|')}${shown}`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`;
}

/** The text that the manual shows after the options: notes, then examples. */
function examplesOf(command: Command): string[] {
  const texts: string[] = [];
  // `addHelpText` registers a listener, and commander has no other way to ask for what was added.
  for (const listener of (command as unknown as EventEmitter).listeners('afterHelp')) {
    listener.call(command, { error: false, command, write: (text: string) => void texts.push(text) });
  }
  const lines = texts.join('\n').split('\n');
  const start = lines.findIndex((line) => /^Examples?:$/.test(line));
  if (start < 0) return [];
  const notes = lines.slice(0, start).join('\n').trim();
  const examples = lines
    .slice(start + 1)
    .map((line) => line.replace(/^ {2}(\$ )?/, ''))
    .join('\n')
    .trim();
  return [...(notes === '' ? [] : [`${notes}\n`]), `\`\`\`sh\n${examples}\n\`\`\`\n`];
}
