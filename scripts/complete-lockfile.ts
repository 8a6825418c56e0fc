/**
 * Adds to package-lock.json the optional packages of other platforms that the registry at hand did not serve: `npm ci`
 * refuses a lockfile that does not name every optional dependency of its packages. Run it after any change of
 * dependencies, on a lockfile that npm has just written: `node scripts/complete-lockfile.ts`.
 */
import { readFile, writeFile } from 'node:fs/promises';

interface LockedPackage {
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}
interface Lockfile {
  packages: Record<string, LockedPackage & Readonly<Record<string, unknown>>>;
}

const SYSTEMS = [
  'linux',
  'darwin',
  'win32',
  'freebsd',
  'openbsd',
  'netbsd',
  'android',
  'openharmony',
  'sunos',
  'aix',
];
const PROCESSORS: Readonly<Record<string, string>> = {
  x64: 'x64',
  arm64: 'arm64',
  arm: 'arm',
  armv7: 'arm',
  ia32: 'ia32',
  ppc64: 'ppc64',
  ppc64le: 'ppc64',
  riscv64: 'riscv64',
  riscv64gc: 'riscv64',
  s390x: 's390x',
  loong64: 'loong64',
  mips64el: 'mips64el',
  wasm32: 'wasm32',
};

const path = new URL('../package-lock.json', import.meta.url);
const lockfile = JSON.parse(await readFile(path, 'utf8')) as Lockfile;
let added = 0;
for (const owner of Object.values(lockfile.packages)) {
  for (const [name, range] of Object.entries(owner.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lockfile.packages[key] || !/^\d+\.\d+\.\d+/.test(range)) continue;
    lockfile.packages[key] = placeholder(name, range, owner.dev === true);
    added++;
  }
}
lockfile.packages = Object.fromEntries(
  Object.entries(lockfile.packages).toSorted(([a], [b]) => (a < b ? -1 : 1)),
);
await writeFile(path, `${JSON.stringify(lockfile, null, 2)}\n`);
process.stdout.write(`${added} optional packages added\n`);

/** The platform is told by the package's name, as all who publish per platform do. */
function placeholder(name: string, version: string, dev: boolean): LockedPackage & Record<string, unknown> {
  const words = name.split(/[/@-]/);
  const cpu = words.map((word) => PROCESSORS[word]).find((word) => word !== undefined);
  const os = words.find((word) => SYSTEMS.includes(word));
  const libc = words.some((word) => word.startsWith('musl'))
    ? 'musl'
    : words.some((word) => word.startsWith('gnu'))
      ? 'glibc'
      : undefined;
  return {
    version,
    ...(cpu === undefined ? {} : { cpu: [cpu] }),
    ...(dev ? { dev } : {}),
    ...(libc === undefined ? {} : { libc: [libc] }),
    optional: true,
    ...(os === undefined ? {} : { os: [os] }),
  };
}
