import { readFileSync } from 'node:fs';
import { finished } from 'node:stream/promises';
import { readEnvironment } from '../config/environment.ts';
import { createKeepAccess } from '../server/keep-access.ts';
import { createCli } from './cli.ts';
import { createTerminal } from './terminal.ts';
