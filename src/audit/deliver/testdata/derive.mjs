// Writes ocsf-1.8.0.json and ecs-9.4.0.json from clones of the two schemas; see README.md for how to run it.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

const [ocsf, ecs] = process.argv.slice(2);
const show = (repository, revision, path) =>
  execFileSync('git', ['-C', repository, 'show', `${revision}:${path}`], { maxBuffer: 1 << 26 }).toString();
const OCSF = 'v1.8.0';
const read = (path) => JSON.parse(show(ocsf, OCSF, path));

const dictionary = read('dictionary.json');
const CLASSES = {
  3001: 'iam/account_change',
  3002: 'iam/authentication',
  3004: 'iam/entity_management',
  3005: 'iam/user_access',
  3006: 'iam/group_management',
  6003: 'application/api_activity',
  2004: 'findings/detection_finding',
};
/** Objects whose attributes stand in the fixture; an attribute of any other object type is refused. */
const OBJECTS = [
  'actor',
  'ai_model',
  'analytic',
  'api',
  'attack',
  'authorization',
  'evidences',
  'finding_info',
  'fingerprint',
  'group',
  'http_request',
  'http_response',
  'managed_entity',
  'metadata',
  'network_endpoint',
  'policy',
  'product',
  'request',
  'resource_details',
  'service',
  'technique',
  'url',
  'user',
];
const PROFILES = ['security_control', 'ai_operation'];
const PARENTS = {
  base_event: 'events/base_event',
  iam: 'events/iam/iam',
  finding: 'events/findings/finding',
  application: 'events/application/application',
};

function attributesOf(definition, parentOf) {
  const parent = definition.extends === undefined ? {} : attributesOf(parentOf(definition.extends), parentOf);
  const included = [definition.attributes.$include ?? []].flat();
  const fromProfiles = {};
  for (const path of included) {
    const name = path.replace(/^profiles\/|\.json$/g, '');
    if (PROFILES.includes(name)) Object.assign(fromProfiles, read(`profiles/${name}.json`).attributes);
  }
  const out = structuredClone(parent);
  for (const [name, row] of Object.entries({ ...fromProfiles, ...definition.attributes })) {
    if (name === '$include') continue;
    const known = dictionary.attributes[name];
    const before = out[name] ?? { type: known.type, is_array: known.is_array, enum: known.enum };
    out[name] = {
      ...before,
      ...row,
      enum: row.enum === undefined ? before.enum : { ...before.enum, ...row.enum },
    };
  }
  return out;
}

function constraintsOf(definition, parentOf) {
  return (
    definition.constraints ??
    (definition.extends === undefined ? undefined : constraintsOf(parentOf(definition.extends), parentOf))
  );
}

const base = dictionary.types.attributes;
function schemaOf({ type, is_array, enum: values }) {
  let schema;
  if (base[type] === undefined)
    schema =
      type === 'object' ? { type: 'object' } : OBJECTS.includes(type) ? { $ref: `#/$defs/${type}` } : false;
  else {
    const root = base[type].type ?? type;
    schema = {
      boolean_t: { type: 'boolean' },
      integer_t: { type: 'integer' },
      long_t: { type: 'integer' },
      float_t: { type: 'number' },
      json_t: {},
      string_t: { type: 'string' },
    }[root];
    const { regex, max_len } = base[type];
    if (regex !== undefined) schema = { ...schema, pattern: regex };
    if (max_len !== undefined) schema = { ...schema, maxLength: max_len };
    if (root === 'integer_t' && values !== undefined) schema = { enum: Object.keys(values).map(Number) };
  }
  return is_array ? { type: 'array', items: schema, minItems: 1 } : schema;
}

function compile(definition, parentOf) {
  const attributes = attributesOf(definition, parentOf);
  const constraints = constraintsOf(definition, parentOf);
  return {
    type: 'object',
    properties: Object.fromEntries(Object.entries(attributes).map(([name, row]) => [name, schemaOf(row)])),
    required: Object.entries(attributes)
      .filter(([, row]) => row.requirement === 'required')
      .map(([name]) => name),
    additionalProperties: false,
    ...(constraints?.at_least_one && {
      anyOf: constraints.at_least_one.map((name) => ({ required: [name] })),
    }),
  };
}

const eventParent = (name) => read(`${PARENTS[name]}.json`);
const objectParent = (name) => read(`objects/${name}.json`);
const $defs = Object.fromEntries(
  OBJECTS.map((name) => [name, compile(read(`objects/${name}.json`), objectParent)]),
);
const classes = Object.fromEntries(
  Object.entries(CLASSES).map(([uid, path]) => {
    const schema = compile(read(`events/${path}.json`), eventParent);
    Object.assign(schema.properties, {
      class_uid: { const: Number(uid) },
      category_uid: { const: Math.floor(uid / 1000) },
    });
    return [uid, schema];
  }),
);
const commit = (repository, revision) =>
  execFileSync('git', ['-C', repository, 'rev-parse', revision]).toString().trim();
writeFileSync(
  join(import.meta.dirname, 'ocsf-1.8.0.json'),
  `${JSON.stringify({ source: `github.com/ocsf/ocsf-schema@${commit(ocsf, OCSF)}`, version: '1.8.0', classes, $defs }, undefined, 1)}\n`,
);

const SETS = [
  'base',
  'ecs',
  'event',
  'user',
  'source',
  'http',
  'url',
  'rule',
  'threat',
  'observer',
  'service',
  'related',
  'log',
  'trace',
];
const flat = parse(show(ecs, 'v9.4.0', 'generated/ecs/ecs_flat.yml'));
const fields = {};
for (const [name, row] of Object.entries(flat)) {
  const set = name.includes('.') ? name.split('.')[0] : 'base';
  if (
    !SETS.includes(set) ||
    /\.(geo|as|x509|effective|changes|target|indicator|enrichments|os|hash|entity|node|origin)\./.test(name)
  )
    continue;
  fields[name] = {
    type: row.type,
    ...(row.normalize?.includes('array') && { array: true }),
    ...(row.allowed_values && {
      values: Object.fromEntries(
        row.allowed_values.map((each) => [each.name, each.expected_event_types ?? []]),
      ),
    }),
  };
}
writeFileSync(
  join(import.meta.dirname, 'ecs-9.4.0.json'),
  `${JSON.stringify({ source: `github.com/elastic/ecs@${commit(ecs, 'v9.4.0')}`, version: '9.4.0', fields }, undefined, 1)}\n`,
);
