/** Forward-only. A migration that has shipped is never edited. */
export const MIGRATIONS: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: '0001-keep',
    sql: `
create table users (
  id text primary key, name text not null unique, display text not null,
  state text not null check (state in ('active', 'disabled')), password text,
  credential_version integer not null, created_at integer not null, updated_at integer not null
) strict;
create table service_accounts (
  id text primary key, name text not null unique, display text not null,
  state text not null check (state in ('active', 'disabled')),
  credential_version integer not null, created_at integer not null, updated_at integer not null
) strict;
create table api_keys (
  id text primary key, public_id text not null unique, mac blob not null unique, mac_key_version integer not null,
  owner_id text not null, label text not null, scopes text, created_at integer not null, created_by text not null,
  not_before integer not null, expires_at integer, revoked_at integer, last_used_at integer
) strict;
create index api_keys_owner on api_keys (owner_id);
create table setup_tokens (
  digest blob primary key, created_at integer not null, expires_at integer not null, used_at integer
) strict;
create table groups (id text primary key, name text not null unique, created_at integer not null) strict;
create table group_members (
  group_id text not null references groups (id) on delete cascade, member_id text not null,
  primary key (group_id, member_id)
) strict;
create index group_members_member on group_members (member_id);
create table roles (
  id text primary key, name text not null unique, description text not null,
  created_at integer not null, updated_at integer not null
) strict;
create table role_permissions (
  role_id text not null references roles (id) on delete cascade, permission text not null,
  primary key (role_id, permission)
) strict;
create table role_parents (
  role_id text not null references roles (id) on delete cascade, parent_id text not null,
  primary key (role_id, parent_id)
) strict;
create table bindings (
  id text primary key, subject_id text not null, role text not null, scope text not null,
  effect text not null check (effect in ('allow', 'deny')), not_before integer, expires_at integer,
  reason text not null, created_by text not null, created_at integer not null
) strict;
create index bindings_subject on bindings (subject_id);
create table policy_revision (id integer primary key check (id = 1), revision integer not null) strict;
insert into policy_revision (id, revision) values (1, 1);
create table projects (id text primary key, name text not null unique, created_at integer not null) strict;
create table models (
  id text primary key, project text not null references projects (name), name text not null,
  description text not null, created_by text not null, created_at integer not null, unique (project, name)
) strict;
create table versions (
  id text primary key, model_id text not null references models (id) on delete cascade, number integer not null,
  format text not null, digest text not null, bytes integer not null, blob text not null,
  payload_bytes integer not null, header blob not null, key_name text not null, key_version integer not null,
  signature text not null, findings text not null, created_by text not null, created_at integer not null,
  unique (model_id, number)
) strict;
create index versions_blob on versions (blob);
create table aliases (
  model_id text not null references models (id) on delete cascade, name text not null,
  version_id text not null references versions (id), updated_at integer not null, updated_by text not null,
  primary key (model_id, name)
) strict;
create table settings (name text primary key, value text not null) strict;
create table effects (entry_id text primary key, committed_at integer not null) strict;
`,
  },
  {
    name: '0002-artifact-sealed-at',
    sql: `
alter table versions add column sealed_at integer not null default 0;
update versions set sealed_at = created_at;
`,
  },
];
