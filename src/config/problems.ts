import { defineProblems } from '../kernel/problem.ts';

export const configProblems = defineProblems('config', {
  invalid: {
    status: 500,
    title: 'The configuration is not acceptable',
    help: '`violations` lists every key that is wrong and where it was set: a flag, an environment variable, or a line of modelkeep.yaml. `modelkeep config check` prints them.',
  },
  unreadable: {
    status: 500,
    title: 'The configuration file cannot be read',
    help: 'modelkeep.yaml exists but cannot be read, or is not YAML. Mend its permissions or its text.',
  },
  secret_missing: {
    status: 500,
    title: 'A secret that the configuration refers to is not there',
    help: 'The configuration names secrets as `env:NAME` or `file:/path`. Set the variable, or create the file and let this user alone read it.',
  },
  secret_exposed: {
    status: 500,
    title: 'A secret that the configuration refers to is open to others',
    help: 'Every user of this machine may read or change the file. Close it: chmod 600, or for a mounted secret a mode such as 0440. If others could read it, replace the secret.',
  },
});
