#!/usr/bin/env node
import process from 'node:process';

// Nothing else is imported before the check: an older Node must get a sentence, not a syntax error from a module that it
// cannot parse.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 7)) {
  process.stderr.write(
    `modelkeep: error: Node ${process.versions.node} is too old: modelkeep needs Node 24.7 or newer\n` +
      'modelkeep: hint: install it from https://nodejs.org, or run: npx -p node@24 -p modelkeep modelkeep\n',
  );
  process.exitCode = 1;
} else {
  const { runProcess } = await import('./cli/process.ts');
  process.exitCode = await runProcess(process);
}
