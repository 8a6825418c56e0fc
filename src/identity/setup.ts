import { createHash, randomBytes } from 'node:crypto';
import { encodeBase64Url } from '../kernel/base64.ts';
import type { Clock } from '../kernel/clock.ts';
import { Secret } from '../kernel/secret.ts';
import type { Directory } from './directory.ts';
import type { PasswordHasher } from './password/hasher.ts';
import { newUser } from './principals.ts';
import { identityProblems } from './problems.ts';
import { type Account, toAccount } from './record.ts';
import type { IdentityStore } from './store.ts';

/** How the first user comes to be: by a one-time token that the keep's host shows. There is no default account. */
export interface Setup {
  /** A new token (256 bits, one hour, one use); earlier ones end. Throws `identity.setup_done` once a user exists. */
  issueSetupToken(): Promise<Secret<string>>;
  /** Makes the first user, an administrator. Throws `identity.setup_refused`, and what creating a user throws. */
  completeSetup(token: Secret<string>, name: string, password: Secret<string>): Promise<Account>;
}

const TOKEN_MS = 3_600_000;

export function createSetup({
  store,
  directory,
  hasher,
  clock,
  contextWords,
  grantAdmin,
}: {
  store: Pick<IdentityStore, 'replaceSetupToken' | 'isSetupTokenOpen' | 'completeSetup' | 'undoSetup'>;
  directory: Directory;
  hasher: Pick<PasswordHasher, 'hash'>;
  clock: Clock;
  contextWords: readonly string[];
  /** Binds the role admin at `/`. */
  grantAdmin: (userId: string) => Promise<void>;
}): Setup {
  const isSetUp = (): boolean => directory.list('user').length > 0;
  return {
    issueSetupToken: () =>
      directory.inTurn(async () => {
        if (isSetUp()) throw identityProblems.setup_done('the keep already has a user');
        const text = encodeBase64Url(randomBytes(32));
        const now = clock.now();
        await store.replaceSetupToken({ digest: digestOf(text), createdAt: now, expiresAt: now + TOKEN_MS });
        return new Secret(text);
      }),
    async completeSetup(token, name, password) {
      const digest = digestOf(token.reveal());
      // Before the password is hashed: strangers reach this route, and hashing is what they could exhaust.
      if (isSetUp() || !(await store.isSetupTokenOpen(digest, clock.now()))) throw refused();
      const user = await newUser({ name, password }, { hasher, clock, contextWords });
      return directory.inTurn(async () => {
        if (!(await store.completeSetup(digest, clock.now(), user))) throw refused();
        directory.put(user);
        try {
          await grantAdmin(user.id);
        } catch (error) {
          // A first user without rights could not mend itself: take it back, the token is open again.
          await store.undoSetup(digest, user.id);
          directory.remove(user.id);
          throw error;
        }
        return toAccount(user);
      });
    },
  };
}

function refused(): Error {
  return identityProblems.setup_refused('the setup token is not valid, or the keep is already set up');
}

function digestOf(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}
