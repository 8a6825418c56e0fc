import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { glob } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { describe, it } from 'node:test';

/** Who may import whom. `types` means `import type` only. */
const ROOMS: Readonly<Record<string, readonly string[] | 'any'>> = {
  kernel: [],
  config: ['kernel'],
  crypto: ['kernel'],
  storage: ['kernel'],
  http: ['kernel'],
  audit: ['kernel', 'storage', 'crypto'],
  access: ['kernel', 'storage'],
  identity: ['kernel', 'storage', 'crypto', 'access types', 'audit'],
  keys: ['kernel', 'storage', 'crypto', 'access types', 'audit'],
  models: ['kernel', 'storage', 'crypto', 'access types', 'audit'],
  serving: ['kernel', 'audit', 'access', 'identity types', 'models'],
  server: 'any',
  cli: 'any',
};

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

interface Source {
  readonly path: string;
  readonly text: string;
}

const SOURCE_ROOT = join(import.meta.dirname, '..', 'src');

function importsOf({ path, text }: Source): Import[] {
  const pattern =
    /^\s*(import|export)\s+(type\s)?[^;'"]*?from\s+'(\.[^']+)'|import\('(\.[^']+)'\)|new URL\(\s*'(\.[^']+)'/gm;
  return [...text.matchAll(pattern)].map((match) => ({
    from: path,
    to: join(dirname(path), match[3] ?? match[4] ?? match[5] ?? ''),
    typeOnly: match[2] !== undefined,
  }));
}

function roomOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : 'main';
}

/** Every import that the table forbids, as a sentence. */
function violations(sources: readonly Source[]): string[] {
  const found: string[] = [];
  for (const source of sources) {
    const room = roomOf(source.path);
    if (room === 'main') continue;
    const allowed = ROOMS[room];
    if (allowed === undefined) {
      found.push(`${source.path}: room "${room}" is not in the table`);
      continue;
    }
    for (const { to, typeOnly } of importsOf(source)) {
      const target = roomOf(to);
      if (target === room) continue;
      if (to.endsWith('/routes.ts') && room !== 'server') {
        found.push(`${source.path}: only server/ may import ${to}`);
      } else if (allowed !== 'any' && !mayImport(source.path, allowed, target, typeOnly)) {
        found.push(`${source.path} may not import ${to}`);
      }
    }
  }
  return found;
}

function mayImport(path: string, allowed: readonly string[], target: string, typeOnly: boolean): boolean {
  if (path.endsWith('.test.ts') || path.endsWith('.contract.ts')) return true;
  if (target === 'http' && /(^|\/)([a-z-]+-)?routes\.ts$/.test(path)) return true;
  return allowed.includes(target) || (typeOnly && allowed.includes(`${target} types`));
}

/** Import cycles among value imports, each as the list of its files. */
function cycles(sources: readonly Source[]): string[][] {
  const graph = new Map(
    sources.map((source) => [
      source.path,
      importsOf(source)
        .filter((edge) => !edge.typeOnly)
        .map((edge) => edge.to),
    ]),
  );
  const found: string[][] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      found.push([...trail.slice(at), path]);
      return;
    }
    if (done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return found;
}

async function readSources(): Promise<Source[]> {
  const sources: Source[] = [];
  for await (const file of glob('**/*.ts', { cwd: SOURCE_ROOT })) {
    const path = relative(SOURCE_ROOT, join(SOURCE_ROOT, file));
    sources.push({ path, text: await readFile(join(SOURCE_ROOT, file), 'utf8') });
  }
  return sources;
}

describe('the architecture', () => {
  it('keeps every room to the imports that the table allows', async () => {
    const sources = await readSources();
    const rooms = new Set(sources.map((source) => roomOf(source.path)));
    assert.ok(sources.length > 100, `only ${sources.length} files were seen`);
    assert.deepEqual([...rooms].filter((room) => room !== 'main').toSorted(), Object.keys(ROOMS).toSorted());
    assert.deepEqual(violations(sources), []);
  });

  it('has no import cycle', async () => {
    assert.deepEqual(cycles((await readSources()).filter((source) => !source.path.endsWith('.test.ts'))), []);
  });

  it('catches a seeded violation, a seeded cycle and a room without a row', () => {
    const seeded = (path: string, text: string): Source => ({ path, text });
    assert.deepEqual(
      violations([seeded('crypto/age.ts', "import { createRegistry } from '../models/registry.ts';")]),
      ['crypto/age.ts may not import models/registry.ts'],
    );
    assert.deepEqual(violations([seeded('models/a.ts', "import { decide } from '../access/decide.ts';")]), [
      'models/a.ts may not import access/decide.ts',
    ]);
    assert.deepEqual(
      violations([seeded('models/a.ts', "import type { Permission } from '../access/catalogue.ts';")]),
      [],
    );
    assert.deepEqual(violations([seeded('cli/a.ts', "import { routes } from '../audit/routes.ts';")]), [
      'cli/a.ts: only server/ may import audit/routes.ts',
    ]);
    assert.deepEqual(violations([seeded('helpers/a.ts', '')]), [
      'helpers/a.ts: room "helpers" is not in the table',
    ]);
    const ring = [
      seeded('kernel/a.ts', "import { b } from './b.ts';"),
      seeded('kernel/b.ts', "import { a } from './a.ts';"),
    ];
    assert.deepEqual(cycles(ring), [['kernel/a.ts', 'kernel/b.ts', 'kernel/a.ts']]);
  });

  it('reads the clock and the environment in one place each', async () => {
    const offenders = (await readSources())
      .filter(({ path }) => !path.endsWith('.test.ts') && !path.startsWith('config/') && path !== 'main.ts')
      .filter(
        ({ path, text }) =>
          path !== 'kernel/clock.ts' &&
          /\bprocess\.env\b|\bDate\.now\(\)|new Date\(\)|Math\.random\(/.test(text),
      )
      .map(({ path }) => path);
    assert.deepEqual(offenders, []);
  });
});
