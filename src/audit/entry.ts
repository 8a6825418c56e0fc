/** One record of the audit log, as written. Every key stands here; the serialiser writes these and nothing else. */
export interface Entry {
  readonly v: 1;
  /** UUIDv7. */
  readonly id: string;
  /** ISO 8601, UTC, milliseconds. */
  readonly time: string;
  readonly phase: 'single' | 'start' | 'end';
  /** For an end: the id of its start. */
  readonly of?: string;
  /** Request id, as answered in `x-request-id`. */
  readonly request?: string;
  /** What was attempted: `model.invoke`, `user.create`. */
  readonly action: string;
  readonly principal: EntryPrincipal;
  readonly credential?: { readonly kind: string; readonly id: string };
  readonly source?: EntryOrigin;
  /** The route template, never the raw URL. */
  readonly http?: { readonly method: string; readonly route: string; readonly status?: number };
  /** Path in the resource tree. */
  readonly resource?: string;
  readonly permission?: string;
  readonly decision: 'allow' | 'deny' | 'error';
  /** Why: `allowed`, `no_matching_binding`, `identity.unauthenticated`, a problem code, … */
  readonly reason: string;
  readonly model?: { readonly version: string; readonly digest: string };
  /** Commitments to the bytes received and sent: SHA-256(nonce || bytes), hex. Only the caller has the nonces. */
  readonly input?: string;
  readonly output?: string;
  readonly detail?: Readonly<Record<string, string | number | boolean>>;
  readonly latencyUs?: number;
}

/** Where an attempt came from. As stored it is sealed; who may read it gets it revealed. */
export interface EntryOrigin {
  /** An address, or `2026-11:…`: the same text for the same address all month. */
  readonly address: string;
  /** 0 where it is sealed or unknown. */
  readonly port: number;
  /** What the client says it is; at most some 200 bytes. Only where it is revealed. */
  readonly agent?: string;
  /** Port and agent, sealed. */
  readonly client?: string;
}

export interface EntryPrincipal {
  readonly kind: 'user' | 'service_account' | 'local' | 'anonymous' | 'system';
  readonly id?: string;
  readonly name?: string;
}

/** What a caller of `append` gives; the log adds version, id and time. */
export type EntryDraft = Omit<Entry, 'v' | 'id' | 'time'>;

/** Where an entry stands, known when it is durable. */
export interface Appended {
  readonly index: number;
  readonly id: string;
  /** RFC 6962 leaf hash. */
  readonly leaf: Uint8Array;
}
