import { isApiKeyShaped } from '../api-key.ts';
import { identityProblems } from '../problems.ts';

/** Lengths in Unicode characters (NIST SP 800-63B-4 §3.1.1.2: at least 15 for a password alone). */
export const PASSWORD_LENGTH = { min: 15, max: 256 } as const;

export type PasswordRule =
  | 'too_short'
  | 'too_long'
  | 'control_character'
  | 'api_key'
  | 'common'
  | 'repetition'
  | 'sequence'
  | 'context';

/**
 * Throws `identity.password_refused`, naming the rule, unless `password` may be used. There are no rules of
 * composition, and nothing is transformed. `context` are words that an attacker tries first: the host, the user's name.
 */
export function checkPassword(password: string, context: readonly string[]): void {
  const rule = brokenRule(password, context);
  if (rule !== undefined) throw identityProblems.password_refused(SENTENCES[rule], { members: { rule } });
}

const SENTENCES: Readonly<Record<PasswordRule, string>> = {
  too_short: `a password has at least ${PASSWORD_LENGTH.min} characters`,
  too_long: `a password has at most ${PASSWORD_LENGTH.max} characters`,
  control_character: 'a password has no control characters: HTTP Basic cannot carry them',
  api_key: 'the password has the form of an API key and would be taken for one',
  common: 'the password is on the list of well-known passwords',
  repetition: 'the password repeats a few characters or one short piece',
  sequence: 'the password is a sequence of neighbouring letters, digits or keys',
  context: 'without the names of the product, the host and the user, too little of the password is left',
};

function brokenRule(password: string, context: readonly string[]): PasswordRule | undefined {
  const length = Array.from(password).length;
  if (length < PASSWORD_LENGTH.min) return 'too_short';
  if (length > PASSWORD_LENGTH.max) return 'too_long';
  if (/\p{Cc}/u.test(password) || !password.isWellFormed()) return 'control_character';
  if (isApiKeyShaped(password)) return 'api_key';
  const folded = password.toLowerCase();
  if (COMMON.has(folded.replaceAll(/[^\p{L}\p{N}]/gu, ''))) return 'common';
  if (isRepetition(folded)) return 'repetition';
  if (isSequence(folded)) return 'sequence';
  return isMadeOf(folded, [...PRODUCT_WORDS, ...context]) ? 'context' : undefined;
}

const DISTINCT_MIN = 5;
const PERIOD_MAX = 12;

function isRepetition(text: string): boolean {
  if (new Set(text).size < DISTINCT_MIN) return true;
  for (let period = 1; period <= Math.min(PERIOD_MAX, text.length / 2); period++) {
    if (text.slice(period) === text.slice(0, -period)) return true;
  }
  return false;
}

const ROWS = ['qwertyuiop', 'asdfghjkl', 'zxcvbnm', '1234567890', 'qwertzuiop', 'azertyuiop'];
const NEIGHBOURS: ReadonlySet<string> = new Set(
  ROWS.flatMap((row) =>
    row
      .slice(1)
      .split('')
      .flatMap((key, i) => [row.charAt(i) + key, key + row.charAt(i)]),
  ),
);

/** Claims that at least four steps in five go to the same or the next letter, digit or key. */
function isSequence(text: string): boolean {
  let steps = 0;
  for (let i = 1; i < text.length; i++) {
    const distance = Math.abs(text.charCodeAt(i) - text.charCodeAt(i - 1));
    if (distance <= 1 || NEIGHBOURS.has(text.slice(i - 1, i + 1))) steps++;
  }
  return steps >= (text.length - 1) * 0.8;
}

const REST_MIN = 10;
const PRODUCT_WORDS = [
  'modelkeep',
  'model',
  'keep',
  'password',
  'passphrase',
  'admin',
  'administrator',
  'localhost',
];

/** Claims that fewer than ten letters or digits are left when the words are taken away, the longest first. */
function isMadeOf(text: string, words: readonly string[]): boolean {
  let rest = text;
  // A host such as `ml-1.example.org` counts whole and in its parts.
  const usable = words
    .flatMap((word) => [word, ...word.split(/[^\p{L}\p{N}]+/u)])
    .map((word) => word.toLowerCase())
    .filter((word) => word.length >= 3);
  for (const word of usable.toSorted((a, b) => b.length - a.length)) rest = rest.replaceAll(word, ' ');
  if (rest === text) return false;
  return Array.from(rest.replaceAll(/[^\p{L}\p{N}]/gu, '')).length < REST_MIN;
}

/** Well-known passwords of 15 characters or more, letters and digits only. Published lists hold few that long. */
const COMMON: ReadonlySet<string> = new Set(
  `correcthorsebatterystaple trustno1trustno1 iloveyouiloveyou letmeinletmein1 changemechangeme
  changemeplease1 thisisapassword thisismypassword passwordpassword password12345678 password123456789
  mypasswordis123 mysecretpassword supersecretpassword superstrongpassword secretpassword1 secretpassword123
  administrator123 administrator1 qwertyuiopasdfgh qwertyuiop123456 qwertyuiop12345 qwerty1234567890
  1q2w3e4r5t6y7u8i 1q2w3e4r5t6y7u8i9o0p 1qaz2wsx3edc4rfv 1qaz2wsx3edc4rfv5tgb 123456789qwerty 1234567890qwerty
  q1w2e3r4t5y6u7i8 q1w2e3r4t5y6u7i8o9p0 zaq12wsxcde34rfv abcdefghijklmno abcd1234abcd1234 abc123abc123abc123
  iloveyou1234567 iloveyouforever ilovemyfamily123 welcometothejungle welcome123456789 welcomewelcome1
  mynameisnobody1 onceuponatime12 onceuponatimeinthewest maytheforcebewithyou tobeornottobethatisthequestion
  thequickbrownfox thequickbrownfoxjumpsoverthelazydog loremipsumdolor loremipsumdolorsitamet
  jesuschristislord godisgoodallthetime footballfootball baseballbaseball liverpoolfc1892 manchesterunited
  manchesterunited1 realmadridcf1902 fcbarcelona1899 harrypotterharrypotter startrekstarwars supermanbatman123
  sunshinesunshine princessprincess dragondragondragon monkeymonkeymonkey michaeljackson1 leonardodavinci
  machinelearning machinelearning1 machinelearning123 artificialintelligence deeplearning1234 datascientist123`.split(
    /\s+/,
  ),
);
