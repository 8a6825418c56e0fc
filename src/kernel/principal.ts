/** Who calls, as every room sees it. Made by identity/, read by access/, recorded by audit/. */
export interface Principal {
  readonly kind: 'user' | 'service_account' | 'local';
  /** `usr_…`, `sa_…`, or for the keep's own host `local:<operating-system user>`. */
  readonly id: string;
  /** A label for people; never a key. */
  readonly name: string;
  /** Ids of the groups it belongs to, nested ones included. */
  readonly groups: readonly string[];
}

/** How the principal proved itself on this request. */
export interface Credential {
  readonly kind: 'password' | 'api_key' | 'setup_token' | 'local';
  /** Id of the credential (`key_…`, `password:usr_…`); never the secret. */
  readonly id: string;
  /** An API key's own limits: the caller has the owner's rights AND one of these. Absent: no further limit. */
  readonly scopes?: readonly Grant[];
}

/** `permission` at `scope`: the unit of an API key's scopes. `permission` may be `*` or `resource.*`. */
export interface Grant {
  readonly permission: string;
  readonly scope: string;
}

export interface Caller {
  readonly principal: Principal;
  readonly credential: Credential;
}
