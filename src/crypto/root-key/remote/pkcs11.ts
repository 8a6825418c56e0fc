import { randomBytes } from 'node:crypto';
import { canonicalJson } from '../../../kernel/canonical-json.ts';
import { isProblem, type Problem } from '../../../kernel/problem.ts';
import type { Secret } from '../../../kernel/secret.ts';
import { cryptoProblems } from '../../problems.ts';
import { loadOptionalPackage } from './optional-package.ts';
import type { RemoteWrapper } from './remote-wrapper.ts';

type Handle = Buffer;
interface Attribute {
  readonly type: number;
  readonly value?: number | boolean | string | Buffer;
}
interface Mechanism {
  readonly mechanism: number;
  readonly parameter?: object;
}

/** What is used of `pkcs11js`. */
export interface Pkcs11Package {
  readonly PKCS11: new () => Pkcs11;
}

interface Pkcs11 {
  load(path: string): void;
  C_Initialize(): void;
  C_Finalize(): void;
  C_GetSlotList(tokenPresent: boolean): Handle[];
  C_GetTokenInfo(slot: Handle): { readonly label: string };
  C_OpenSession(slot: Handle, flags: number): Handle;
  C_CloseSession(session: Handle): void;
  C_Login(session: Handle, userType: number, pin: string): void;
  C_Logout(session: Handle): void;
  C_FindObjectsInit(session: Handle, template: readonly Attribute[]): void;
  C_FindObjects(session: Handle, countMax: number): Handle[];
  C_FindObjectsFinal(session: Handle): void;
  C_EncryptInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_Encrypt(session: Handle, input: Buffer, output: Buffer): Buffer;
  C_DecryptInit(session: Handle, mechanism: Mechanism, key: Handle): void;
  C_Decrypt(session: Handle, input: Buffer, output: Buffer): Buffer;
  C_CreateObject(session: Handle, template: readonly Attribute[]): Handle;
  C_DestroyObject(session: Handle, object: Handle): void;
  C_WrapKey(session: Handle, mechanism: Mechanism, wrapping: Handle, key: Handle, output: Buffer): Buffer;
  C_UnwrapKey(
    session: Handle,
    mechanism: Mechanism,
    unwrapping: Handle,
    wrapped: Buffer,
    template: readonly Attribute[],
  ): Handle;
  C_GetAttributeValue(
    session: Handle,
    object: Handle,
    template: readonly Attribute[],
  ): readonly { readonly value: Buffer }[];
}

export interface Pkcs11Options {
  /** Path of the library. */
  readonly module: string;
  readonly tokenLabel: string;
  readonly keyLabel: string;
  readonly pin: () => Secret<string>;
  readonly mechanism: 'aes-gcm' | 'aes-key-wrap-pad';
  /** Of `pkcs11js`, which is loaded on first use. */
  readonly load?: () => Promise<Pkcs11Package>;
}

/** Numbers of PKCS#11 2.40. */
const CKF_SERIAL_SESSION = 4;
const CKU_USER = 1;
const CKA = {
  CLASS: 0,
  TOKEN: 1,
  LABEL: 3,
  VALUE: 0x11,
  KEY_TYPE: 0x100,
  SENSITIVE: 0x103,
  EXTRACTABLE: 0x162,
};
const CKO_SECRET_KEY = 4;
const CKK_AES = 0x1f;
const CKK_GENERIC_SECRET = 0x10;
const CKM_AES_GCM = 0x1087;
const CKM_AES_KEY_WRAP_PAD = 0x210a;
/** pkcs11js's own number for the parameters of AES-GCM as version 2.40 has them. */
const CK_PARAMS_AES_GCM_V240 = 7;

const IV_BYTES = 12;
const TAG_BYTES = 16;
const OUTPUT_BYTES_MAX = 4096;

/**
 * An AES key of a PKCS#11 token. Each call opens the library and closes it again, so that a token that was pulled out and put
 * back serves again. AES-GCM binds the context as associated data; AES key wrap binds none.
 */
export function createPkcs11Wrapper(options: Pkcs11Options): RemoteWrapper {
  const { tokenLabel, keyLabel, mechanism } = options;
  /** A token locks itself after a few wrong PINs: one that was refused is not tried again. */
  let refusedPin: Problem | undefined;

  const withKey = async <T>(work: (token: Pkcs11, session: Handle, key: Handle) => T): Promise<T> => {
    if (refusedPin !== undefined) throw refusedPin;
    const { PKCS11 } = await loadOptionalPackage('pkcs11js', options.load ?? loadPkcs11);
    const pin = options.pin();
    try {
      return inSession(new PKCS11(), options, pin, (token, session) =>
        work(token, session, findKey(token, session, keyLabel)),
      );
    } catch (error) {
      const problem = isProblem(error) ? error : explain(error);
      if (PIN_FAILURES.has(codeNumber(error))) refusedPin = problem;
      throw problem;
    }
  };

  return {
    provider: 'pkcs11',
    keyId: `${mechanism}:${tokenLabel}/${keyLabel}`,
    wrap: (plaintext, context) =>
      withKey((token, session, key) => {
        const output = Buffer.alloc(OUTPUT_BYTES_MAX);
        if (mechanism === 'aes-gcm') {
          const iv = randomBytes(IV_BYTES);
          token.C_EncryptInit(session, gcm(iv, canonicalJson(context)), key);
          return Buffer.concat([iv, token.C_Encrypt(session, Buffer.from(plaintext), output)]);
        }
        const object = token.C_CreateObject(session, [
          ...TRANSIENT,
          { type: CKA.VALUE, value: frame(plaintext) },
        ]);
        try {
          return Buffer.from(
            token.C_WrapKey(session, { mechanism: CKM_AES_KEY_WRAP_PAD }, key, object, output),
          );
        } finally {
          token.C_DestroyObject(session, object);
        }
      }),
    unwrap: (ciphertext, context) =>
      withKey((token, session, key) => {
        const wrapped = Buffer.from(ciphertext);
        if (mechanism === 'aes-gcm') {
          if (wrapped.length <= IV_BYTES + TAG_BYTES)
            throw cryptoProblems.root_key_sealed_malformed('the wrapped root key is too short');
          token.C_DecryptInit(session, gcm(wrapped.subarray(0, IV_BYTES), canonicalJson(context)), key);
          const output = Buffer.alloc(OUTPUT_BYTES_MAX);
          const plaintext = Buffer.from(token.C_Decrypt(session, wrapped.subarray(IV_BYTES), output));
          output.fill(0);
          return plaintext;
        }
        const by = { mechanism: CKM_AES_KEY_WRAP_PAD };
        const object = token.C_UnwrapKey(session, by, key, wrapped, TRANSIENT);
        try {
          const [attribute] = token.C_GetAttributeValue(session, object, [{ type: CKA.VALUE }]);
          if (attribute === undefined) throw cryptoProblems.root_key_refused('the token gave no value');
          return removeFrame(attribute.value);
        } finally {
          token.C_DestroyObject(session, object);
        }
      }),
    close: async () => {},
  };
}

/** pkcs11js is a native package that not everybody builds; its name must not be one that a compiler resolves. */
const PACKAGE: string = 'pkcs11js';
const loadPkcs11 = async (): Promise<Pkcs11Package> => {
  const loaded = (await import(PACKAGE)) as Pkcs11Package & { readonly default?: Pkcs11Package };
  return loaded.default ?? loaded;
};

/** A secret object of the session alone: it is gone when the session ends. */
const TRANSIENT: readonly Attribute[] = [
  { type: CKA.CLASS, value: CKO_SECRET_KEY },
  { type: CKA.KEY_TYPE, value: CKK_GENERIC_SECRET },
  { type: CKA.TOKEN, value: false },
  { type: CKA.SENSITIVE, value: false },
  { type: CKA.EXTRACTABLE, value: true },
];

function gcm(iv: Buffer, context: string): Mechanism {
  const parameter = {
    type: CK_PARAMS_AES_GCM_V240,
    iv,
    ivBits: IV_BYTES * 8,
    aad: Buffer.from(context),
    tagBits: TAG_BYTES * 8,
  };
  return { mechanism: CKM_AES_GCM, parameter };
}

/**
 * RFC 5649 strips the padding that it adds; some tokens leave it. Whole blocks of 8 bytes that begin with the length come
 * back the same from both.
 */
function frame(plaintext: Uint8Array): Buffer {
  const framed = Buffer.alloc(Math.ceil((4 + plaintext.length) / 8) * 8);
  framed.writeUInt32BE(plaintext.length);
  framed.set(plaintext, 4);
  return framed;
}

function removeFrame(framed: Buffer): Buffer {
  const length = framed.length < 8 ? 0 : framed.readUInt32BE();
  if (length === 0 || Math.ceil((4 + length) / 8) * 8 !== framed.length)
    throw cryptoProblems.root_key_sealed_malformed(
      'what the token unwrapped has another length than it says',
    );
  const plaintext = Buffer.from(framed.subarray(4, 4 + length));
  framed.fill(0);
  return plaintext;
}

function inSession<T>(
  token: Pkcs11,
  { module, tokenLabel }: Pkcs11Options,
  pin: Secret<string>,
  work: (token: Pkcs11, session: Handle) => T,
): T {
  token.load(module);
  token.C_Initialize();
  try {
    const slot = token
      .C_GetSlotList(true)
      // The standard pads labels with blanks.
      .find((candidate) => token.C_GetTokenInfo(candidate).label.trimEnd() === tokenLabel);
    if (slot === undefined) throw cryptoProblems.root_key_unreachable(`there is no token "${tokenLabel}"`);
    const session = token.C_OpenSession(slot, CKF_SERIAL_SESSION);
    try {
      token.C_Login(session, CKU_USER, pin.reveal());
      return work(token, session);
    } finally {
      token.C_CloseSession(session);
    }
  } finally {
    token.C_Finalize();
  }
}

function findKey(token: Pkcs11, session: Handle, label: string): Handle {
  token.C_FindObjectsInit(session, [
    { type: CKA.CLASS, value: CKO_SECRET_KEY },
    { type: CKA.KEY_TYPE, value: CKK_AES },
    { type: CKA.LABEL, value: label },
  ]);
  const found = token.C_FindObjects(session, 2);
  token.C_FindObjectsFinal(session);
  const [key, ...more] = found;
  if (key === undefined) throw cryptoProblems.root_key_refused(`the token has no AES key "${label}"`);
  if (more.length > 0) throw cryptoProblems.root_key_refused(`the token has several AES keys "${label}"`);
  return key;
}

/** CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE, CKR_PIN_EXPIRED, CKR_PIN_LOCKED. */
const PIN_FAILURES: ReadonlySet<number> = new Set([0xa0, 0xa1, 0xa2, 0xa3, 0xa4]);
/** What a token says of data or a key that is not acceptable, by PKCS#11 2.40 §11. */
const REFUSALS: ReadonlySet<number> = new Set([
  0x05, 0x07, 0x20, 0x21, 0x40, 0x41, 0x60, 0x63, 0x68, 0x69, 0x6a, 0x70, 0x71, 0x82, 0x110, 0x112, 0xf0,
  0xf1, 0xf2, 0x115, 0x101, 0x102,
]);

function explain(error: unknown): Problem {
  const code = codeNumber(error);
  const name = code === 0 ? 'the library does not load' : `CKR 0x${code.toString(16)}`;
  if (PIN_FAILURES.has(code))
    return cryptoProblems.root_key_refused(`the token refused the PIN (${name})`, { cause: error });
  if (REFUSALS.has(code))
    return cryptoProblems.root_key_refused(`the token refused (${name})`, { cause: error });
  return cryptoProblems.root_key_unreachable(`the token does not serve (${name})`, { cause: error });
}

function codeNumber(error: unknown): number {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' ? error.code : 0;
}
