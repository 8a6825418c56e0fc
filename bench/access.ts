import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import { type Enforcer, newEnforcer, newModelFromString } from 'casbin';
import { decide } from '../src/access/decide.ts';
import type { Binding, Policy, Role } from '../src/access/policy.ts';
import { createPolicyIndex } from '../src/access/policy-index.ts';
import { type BenchTable, formatTable } from './table.ts';

/** A role per project, on its project: three permissions of the models there. Users hold `each` of them. */
interface Size {
  readonly name: string;
  readonly roles: number;
  readonly users: number;
  readonly each: number;
  /** Engines that the size is too much for, with what was seen. */
  readonly tooLarge: Readonly<Partial<Record<Engine['name'], string>>>;
}

const SIZES: readonly Size[] = [
  { name: 'S: 100 bindings, 10 roles', roles: 10, users: 50, each: 2, tooLarge: {} },
  { name: 'M: 20 k bindings, 1 k roles', roles: 1000, users: 10_000, each: 2, tooLarge: {} },
  {
    name: 'L: 1 M bindings, 10 k roles',
    roles: 10_000,
    users: 200_000,
    each: 5,
    tooLarge: { casbin: 'not run', 'Cedar, a policy per role': 'not run' },
  },
];
const ROUNDS = 5;
const ROUND_MS = 120;
const NOW = 1_000_000;
const REQUESTS = 4096;
const GRANTED = ['model.read', 'model.invoke', 'model.update'] as const;
const WRONG = 'model.delete';

interface Request {
  readonly user: number;
  readonly principal: { readonly kind: 'user'; readonly id: string };
  readonly permission: string;
  readonly resource: string;
  readonly project: number;
  readonly expected: boolean;
}

interface Engine {
  readonly name: 'Modelkeep' | 'casbin' | 'Cedar, a policy per role' | 'Cedar, one attribute policy';
  decide(request: Request): boolean;
}

/** Decisions per second, ours beside two engines that people trust. */
export async function run(): Promise<BenchTable> {
  const rows: string[][] = [];
  for (const size of SIZES) {
    const world = worldOf(size);
    const engines = [ours(world), ...(await peersOf(world))];
    for (const engine of engines) check(engine, world.requests);
    const rates = measure(engines, world.requests);
    const own = rates.get('Modelkeep') ?? 0;
    for (const name of ENGINES) {
      const rate = rates.get(name);
      const figures =
        rate === undefined
          ? [size.tooLarge[name] ?? '', '']
          : [rate.toLocaleString('en'), `${ratioOf(own / rate)}×`];
      rows.push([size.name, name, ...figures]);
    }
  }
  const note =
    'Authorization decisions per second in one thread; half of the questions are allowed, a quarter asks about another ' +
    "project, a quarter for another permission, and each engine's answers are checked first. Every round runs each " +
    'engine in turn; the median of the rounds counts. "Ours ×" is how often Modelkeep decides while the engine decides ' +
    'once. Modelkeep and casbin hold who has which role; Cedar gets the roles of the asking user with the question, as ' +
    'its entities. At L, casbin and Cedar with a policy per role are not run: both look at every rule for every ' +
    'question, take seconds to load 10 k roles and answer some tens of questions a second.';
  return { name: 'Decisions', note, columns: ['size', 'engine', 'decisions/s', 'ours ×'], rows };
}

const ENGINES: readonly Engine['name'][] = [
  'Modelkeep',
  'casbin',
  'Cedar, a policy per role',
  'Cedar, one attribute policy',
];

interface World {
  readonly size: Size;
  readonly policy: Policy;
  readonly projectsOf: (user: number) => readonly number[];
  readonly requests: readonly Request[];
}

function worldOf(size: Size): World {
  const { roles: projects, users, each } = size;
  const projectsOf = (user: number): readonly number[] =>
    Array.from({ length: each }, (_, k) => (user * 7 + k * (Math.floor(projects / each) + 1)) % projects);
  const at = { createdAt: 0, updatedAt: 0 };
  const roles = Array.from({ length: projects }, (_, project): Role => {
    const id = `rol_${project}`;
    return { id, name: id, description: '', builtin: false, permissions: GRANTED, parents: [], ...at };
  });
  const bindings: Binding[] = [];
  for (let user = 0; user < users; user++) {
    for (const project of projectsOf(user)) {
      const names = { id: `bnd_${bindings.length}`, subject: `usr_${user}`, role: `rol_${project}` };
      const when = { notBefore: null, expiresAt: null, createdAt: 0 };
      const scope = `/projects/p${project}`;
      bindings.push({ ...names, scope, effect: 'allow', reason: '', createdBy: 'usr_0', ...when });
    }
  }
  const random = generator(42);
  const requests = Array.from({ length: REQUESTS }, (_, at): Request => {
    const user = Math.floor(random() * users);
    const own = projectsOf(user);
    const mine = own[Math.floor(random() * own.length)] ?? 0;
    const wrongProject = at % 4 === 2;
    const project = wrongProject ? strangerTo(own, projects) : mine;
    const permission = at % 4 === 3 ? WRONG : (GRANTED[Math.floor(random() * GRANTED.length)] ?? GRANTED[0]);
    return {
      user,
      principal: { kind: 'user', id: `usr_${user}` },
      permission,
      project,
      resource: `/projects/p${project}/models/m${at % 7}`,
      expected: at % 4 < 2,
    };
  });
  return { size, policy: { revision: 1, roles, groups: [], bindings }, projectsOf, requests };
}

function strangerTo(own: readonly number[], projects: number): number {
  let project = ((own[0] ?? 0) + 1) % projects;
  while (own.includes(project)) project = (project + 1) % projects;
  return project;
}

function ours({ policy }: World): Engine {
  const index = createPolicyIndex(policy);
  return {
    name: 'Modelkeep',
    decide({ principal, permission, resource }) {
      return decide(index, { principal, credential: {}, permission, resource, now: NOW }).allow;
    },
  };
}

async function peersOf(world: World): Promise<Engine[]> {
  const { tooLarge } = world.size;
  return [
    ...(tooLarge.casbin === undefined ? [await casbinEngine(world)] : []),
    ...(tooLarge['Cedar, a policy per role'] === undefined ? [cedarPerRole(world)] : []),
    cedarGeneric(world),
  ];
}

const CASBIN_MODEL = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.act == p.act && keyMatch(r.obj, p.obj) && g(r.sub, p.sub)
`;

async function casbinEngine({ policy }: World): Promise<Engine> {
  const enforcer: Enforcer = await newEnforcer(newModelFromString(CASBIN_MODEL));
  const rules = policy.roles.flatMap((role, project) =>
    GRANTED.map((permission) => [role.id, `/projects/p${project}/*`, permission]),
  );
  await enforcer.addPolicies(rules);
  await enforcer.addGroupingPolicies(policy.bindings.map(({ subject, role }) => [subject, role]));
  return {
    name: 'casbin',
    decide: ({ principal, resource, permission }) => enforcer.enforceSync(principal.id, resource, permission),
  };
}

function cedarPerRole({ size, policy, projectsOf }: World): Engine {
  const actions = GRANTED.map((permission) => `Action::"${permission}"`).join(', ');
  const text = policy.roles
    .map(({ id }, project) => {
      return `permit(principal in Role::"${id}", action in [${actions}], resource in Project::"p${project}");`;
    })
    .join('\n');
  const policySet = `per-role-${size.name}`;
  preparse(policySet, text);
  return {
    name: 'Cedar, a policy per role',
    decide: (request) =>
      askCedar(policySet, request, [
        ...projectsOf(request.user).map((project) => entity('Role', `rol_${project}`)),
        {
          ...entity('User', request.principal.id),
          parents: projectsOf(request.user).map((p) => uid('Role', `rol_${p}`)),
        },
        { ...entity('Model', request.resource), parents: [uid('Project', `p${request.project}`)] },
      ]),
  };
}

function cedarGeneric({ size, projectsOf }: World): Engine {
  const actions = GRANTED.map((permission) => `Action::"${permission}"`).join(', ');
  const policySet = `generic-${size.name}`;
  preparse(
    policySet,
    `permit(principal, action in [${actions}], resource) when { principal.projects.contains(resource.project) };`,
  );
  return {
    name: 'Cedar, one attribute policy',
    decide: (request) =>
      askCedar(policySet, request, [
        {
          ...entity('User', request.principal.id),
          attrs: { projects: projectsOf(request.user).map((p) => `p${p}`) },
        },
        { ...entity('Model', request.resource), attrs: { project: `p${request.project}` } },
      ]),
  };
}

function preparse(id: string, text: string): void {
  const parsed = cedar.preparsePolicySet(id, { staticPolicies: text });
  if (parsed.type !== 'success')
    throw new Error(`Cedar refused the policies: ${JSON.stringify(parsed.errors)}`);
}

function askCedar(
  policySet: string,
  { principal, permission, resource }: Request,
  entities: cedar.Entities,
): boolean {
  const answer = cedar.statefulIsAuthorized({
    principal: uid('User', principal.id),
    action: uid('Action', permission),
    resource: uid('Model', resource),
    context: {},
    preparsedPolicySetId: policySet,
    entities,
  });
  if (answer.type !== 'success') throw new Error(`Cedar failed: ${JSON.stringify(answer.errors)}`);
  return answer.response.decision === 'allow';
}

function uid(type: string, id: string): { type: string; id: string } {
  return { type, id };
}

function entity(type: string, id: string): cedar.EntityJson {
  return { uid: uid(type, id), attrs: {}, parents: [] };
}

function check(engine: Engine, requests: readonly Request[]): void {
  for (const request of requests.slice(0, 64)) {
    if (engine.decide(request) !== request.expected) {
      throw new Error(
        `${engine.name} is wrong about ${request.principal.id} ${request.permission}@${request.resource}`,
      );
    }
  }
}

/** Decisions per second by engine: rounds interleaved, the median of each. */
function measure(
  engines: readonly Engine[],
  requests: readonly Request[],
): ReadonlyMap<Engine['name'], number> {
  const rates = new Map<Engine['name'], number[]>();
  for (let round = 0; round <= ROUNDS; round++) {
    for (const engine of engines) {
      const rate = rateOf(engine, requests);
      // The first round warms up.
      if (round > 0) rates.set(engine.name, [...(rates.get(engine.name) ?? []), rate]);
    }
  }
  return new Map(
    [...rates].map(([name, all]) => [name, Math.round(all.toSorted((a, b) => a - b)[ROUNDS >> 1] ?? 0)]),
  );
}

function rateOf(engine: Engine, requests: readonly Request[]): number {
  const start = performance.now();
  let done = 0;
  let elapsed = 0;
  while (elapsed < ROUND_MS) {
    engine.decide(requests[done % requests.length] as Request);
    done++;
    // A look at the clock costs as much as a decision.
    if ((done & 63) === 0 || elapsed === 0) elapsed = Math.max(performance.now() - start, Number.MIN_VALUE);
    if (elapsed > 1 && done < 64) elapsed = performance.now() - start;
  }
  return done / ((performance.now() - start) / 1000);
}

function ratioOf(ratio: number): string {
  return ratio >= 10 ? Math.round(ratio).toLocaleString('en') : ratio.toFixed(1);
}

/** The same stream of numbers in [0, 1) every time (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

if (import.meta.main) console.log(formatTable(await run()));
