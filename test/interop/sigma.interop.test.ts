import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { entryEvent } from '../../src/audit/deliver/format/event.ts';
import { createFormat } from '../../src/audit/deliver/format/format.ts';
import { RULES } from '../../src/audit/detect/rules/table.ts';
import { createStory, rulesOf, SECOND, type Story } from '../../src/audit/detect/testing.ts';

/** The reference implementation of Sigma, and two of its backends, in a virtual environment of their own. */

const run = promisify(execFile);
const ENVIRONMENT = fileURLToPath(new URL('../../node_modules/.cache/interop-sigma', import.meta.url));
const SHIPPED = fileURLToPath(new URL('../../docs/sigma', import.meta.url));
const PACKAGES = ['pysigma', 'pysigma-backend-sqlite', 'pysigma-backend-splunk'];
const MISSING = `Python with these packages is not reachable; pip install ${PACKAGES.join(' ')}`;

/**
 * Reads a verb, the folder of rules, and lines of the log. Two of the validators load lists from mitre.org and are left out:
 * of ATT&CK and D3FEND.
 */
const PEER = `
import json, pathlib, sqlite3, sys
import yaml
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.validation import SigmaValidator
from sigma.validators.core import validators
from sigma.backends.sqlite import sqliteBackend
from sigma.backends.splunk import SplunkBackend
ONLINE = ("ATTACKTagValidator", "D3FENDTagValidator")
files = sorted(pathlib.Path(sys.argv[2]).glob("*.yml"))

def validate():
    rules = SigmaCollection.load_ruleset([sys.argv[2]]).rules
    validator = SigmaValidator([each for each in validators.values() if each.__name__ not in ONLINE])
    issues = [issue for rule in rules for issue in validator.validate_rule(rule)] + validator.finalize()
    return {"rules": len(rules), "correlations": sum(isinstance(rule, SigmaCorrelationRule) for rule in rules),
            "errors": [str(error) for rule in rules for error in rule.errors], "issues": [str(issue) for issue in issues]}

def convert(backend):
    queries = {}
    for file in files:
        try: queries[file.name] = backend().convert(SigmaCollection.from_yaml(file.read_text()))
        except NotImplementedError as error: queries[file.name] = str(error)
    return queries

def flat(value, path=""):
    if not isinstance(value, dict): return {path: value}
    return {name: each for key, inner in value.items() for name, each in flat(inner, f"{path}.{key}" if path else key).items()}

def fields(document):
    for selection in document.get("detection", {}).values():
        if isinstance(selection, dict): yield from (key.split("|")[0] for key in selection)
    correlation = document.get("correlation", {})
    yield from correlation.get("group-by", [])
    if "field" in correlation.get("condition", {}): yield correlation["condition"]["field"]

def find():
    rows = [flat(json.loads(line)["entry"]) for line in sys.stdin]
    names = {name for file in files for document in yaml.safe_load_all(file.read_text()) for name in fields(document)}
    columns = sorted(names | {name for row in rows for name in row})
    base = sqlite3.connect(":memory:")
    base.execute(f"CREATE TABLE logs (timestamp, {', '.join(f'[{name}]' for name in columns)})")
    base.executemany(f"INSERT INTO logs VALUES (?{', ?' * len(columns)})",
                     [[row["time"], *(row.get(name) for name in columns)] for row in rows])
    return [name for name, queries in convert(sqliteBackend).items() if any(base.execute(query).fetchone() for query in queries)]

work = {"validate": validate, "sqlite": lambda: convert(sqliteBackend), "splunk": lambda: convert(SplunkBackend), "find": find}
print(json.dumps(work[sys.argv[1]]()))
`;

const python = await findPython();

test('every shipped rule is parsed, and no validator complains', async (t) => {
  if (python === undefined) return unreachable(t);
  const { rules, correlations, errors, issues } = (await ask('validate')) as Record<string, unknown>;
  assert.deepEqual([errors, issues], [[], []]);
  assert.ok(Number(rules) > 2 * RULES.length, String(rules));
  assert.ok(Number(correlations) > RULES.length, String(correlations));
});

test('every rule becomes one query of SQLite', async (t) => {
  if (python === undefined) return unreachable(t);
  const queries = Object.entries((await ask('sqlite')) as Record<string, readonly string[]>);
  assert.equal(queries.length, RULES.length);
  for (const [file, each] of queries) assert.equal(each.length, 1, file);
});

test('every rule becomes a search of Splunk, but the one that asks for an order', async (t) => {
  if (python === undefined) return unreachable(t);
  const searches = Object.entries((await ask('splunk')) as Record<string, string | readonly string[]>);
  const refused = searches.filter(([, each]) => typeof each === 'string');
  assert.deepEqual(
    refused.map(([file]) => file),
    ['a6-success-after-guessing.yml'],
  );
  assert.match(String(refused[0]?.[1]), /temporal_ordered/);
  // Of a rule of two correlations the backend writes the parts, too, and the whole last.
  for (const [file, each] of searches) assert.ok(each.at(-1) !== undefined && each.at(-1) !== '', file);
});

test('the queries find what was planted in an exported log, as our detector does', async (t) => {
  if (python === undefined) return unreachable(t);
  const story = createStory();
  office(story);
  for (let i = 0; i < 25; i++, story.now += SECOND) story.refuse('usr_victim', '203.0.113.9', `guess ${i}`);
  story.succeed('usr_victim', '203.0.113.9');
  for (let i = 0; i < 12; i++, story.now += SECOND) story.deny('usr_victim', 'role.read', `/roles/r${i}`);
  for (let i = 0; i < 220; i++, story.now += 10 * SECOND)
    story.predict('sa_prober', `near ${i % 100}`, {
      detail: { inputTag: `near ${i % 100}`, ...(i % 2 === 0 && { nearBoundary: true }) },
    });
  const found = await search(story);
  assert.deepEqual(rulesOf(story), ['A1', 'A6', 'B1', 'D3']);
  // C2 is the bare volume of a key, as its file says.
  assert.deepEqual(found, ['A1', 'A6', 'B1', 'C2', 'D3']);
});

test('the queries find nothing in a day at the office', async (t) => {
  if (python === undefined) return unreachable(t);
  const story = createStory();
  office(story);
  assert.deepEqual(rulesOf(story), []);
  assert.deepEqual(await search(story), []);
});

/** Five people who mistype now and then, and a job that lost a right. */
function office(story: Story): void {
  for (let i = 0; i < 40; i++, story.now += 40 * SECOND) {
    const who = `usr_${i % 5}`;
    if (i % 8 === 0) story.refuse(who, '198.51.100.7', `typo ${i}`);
    story.succeed(who, '198.51.100.7');
    story.deny('sa_job', 'model.read', '/projects/p/models/score');
  }
}

async function search(story: Story): Promise<readonly string[]> {
  const format = createFormat('json', '0');
  const lines = story.entries.map((indexed) => `${format(entryEvent('keep.example', indexed))}\n`);
  const files = (await ask('find', lines.join(''))) as readonly string[];
  return files.map((file) => file.slice(0, 2).toUpperCase());
}

async function ask(verb: string, input = ''): Promise<unknown> {
  const peer = spawn(python as string, ['-c', PEER, verb, SHIPPED], { stdio: ['pipe', 'pipe', 'inherit'] });
  peer.stdin.end(input);
  const pieces: Buffer[] = [];
  for await (const piece of peer.stdout as AsyncIterable<Buffer>) pieces.push(piece);
  return JSON.parse(Buffer.concat(pieces).toString()) as unknown;
}

/** A Python that has the packages; makes an environment with them if the network allows. */
async function findPython(): Promise<string | undefined> {
  const own = `${ENVIRONMENT}/bin/python3`;
  for (const candidate of [own, 'python3']) if (await hasSigma(candidate)) return candidate;
  try {
    await access(own).catch(() => run('python3', ['-m', 'venv', ENVIRONMENT], { timeout: 60_000 }));
    await run(own, ['-m', 'pip', 'install', '--quiet', ...PACKAGES], { timeout: 180_000 });
  } catch {
    return undefined;
  }
  return (await hasSigma(own)) ? own : undefined;
}

function hasSigma(path: string): Promise<boolean> {
  const imports = 'import sigma.backends.sqlite, sigma.backends.splunk';
  return run(path, ['-c', imports], { timeout: 30_000 }).then(
    () => true,
    () => false,
  );
}

function unreachable(t: TestContext): void {
  t.diagnostic(MISSING);
  t.skip(MISSING);
}
