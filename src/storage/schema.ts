/** The tables, as Kysely sees them. Times are milliseconds since 1970 UTC; booleans are 0 or 1; JSON columns hold text. */
export interface Schema {
  users: {
    id: string;
    name: string;
    display: string;
    state: 'active' | 'disabled';
    /** PHC string, or null for a user that has no password. */
    password: string | null;
    /** Grows with every change of a credential or of the state; caches of verified credentials are keyed by it. */
    credential_version: number;
    created_at: number;
    updated_at: number;
  };
  service_accounts: {
    id: string;
    name: string;
    display: string;
    state: 'active' | 'disabled';
    credential_version: number;
    created_at: number;
    updated_at: number;
  };
  api_keys: {
    id: string;
    /** The ten public characters of `mk_<public>_…`. */
    public_id: string;
    /** HMAC-SHA-256 of the whole key text under `mac_key_version` of the ring key `api-keys`. */
    mac: Uint8Array;
    mac_key_version: number;
    /** `usr_…` or `sa_…`. */
    owner_id: string;
    label: string;
    /** JSON: Grant[]; null for no limit beyond the owner's rights. */
    scopes: string | null;
    created_at: number;
    created_by: string;
    not_before: number;
    expires_at: number | null;
    revoked_at: number | null;
    last_used_at: number | null;
  };
  setup_tokens: { digest: Uint8Array; created_at: number; expires_at: number; used_at: number | null };
  groups: { id: string; name: string; created_at: number };
  group_members: { group_id: string; member_id: string };
  roles: { id: string; name: string; description: string; created_at: number; updated_at: number };
  role_permissions: { role_id: string; permission: string };
  role_parents: { role_id: string; parent_id: string };
  bindings: {
    id: string;
    /** `usr_…`, `sa_…` or `grp_…`. */
    subject_id: string;
    /** A built-in role's name or a custom role's id. */
    role: string;
    scope: string;
    effect: 'allow' | 'deny';
    not_before: number | null;
    expires_at: number | null;
    reason: string;
    created_by: string;
    created_at: number;
  };
  /** One row: grows with every change of roles, groups or bindings. */
  policy_revision: { id: number; revision: number };
  projects: { id: string; name: string; created_at: number };
  models: {
    id: string;
    project: string;
    name: string;
    description: string;
    created_by: string;
    created_at: number;
  };
  versions: {
    id: string;
    model_id: string;
    /** 1, 2, 3 … within the model. */
    number: number;
    format: 'onnx';
    /** SHA-256 of the plaintext artifact, hex. */
    digest: string;
    bytes: number;
    /** SHA-256 of the stored payload, hex: the blob's name. */
    blob: string;
    payload_bytes: number;
    /** The age header of the artifact, detached from the payload. */
    header: Uint8Array;
    /** Ring key and version that the header is wrapped to. */
    key_name: string;
    key_version: number;
    /** When the payload was last encrypted under a new file key. */
    sealed_at: number;
    /** JSON: names, types and shapes of inputs and outputs, operator domains. */
    signature: string;
    /** JSON: what the inspection found. */
    findings: string;
    created_by: string;
    created_at: number;
  };
  aliases: { model_id: string; name: string; version_id: string; updated_at: number; updated_by: string };
  settings: { name: string; value: string };
  /** Ids of audited changes whose transaction committed: written in the same transaction as the change. */
  effects: { entry_id: string; committed_at: number };
}
