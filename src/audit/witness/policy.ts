import { type NoteVerifier, parseVerifierKey } from '../note.ts';
import { splitVerifierKey } from '../verifier-key.ts';
import { type CosignatureVerifier, parseCosignerKey } from './cosignature.ts';
import { witnessProblems } from './problems.ts';

/** C2SP tlog-policy: which logs and witnesses are known, and how many witnesses make a checkpoint good. */
export interface Policy {
  /** Empty: the logs are known from elsewhere. */
  readonly logs: readonly PolicyLog[];
  readonly witnesses: readonly PolicyWitness[];
  /** Claims that these witnesses, by name, are enough. */
  hasQuorum(cosigned: ReadonlySet<string>): boolean;
}

export interface PolicyLog {
  readonly verifier: NoteVerifier;
  readonly vkey: string;
  readonly url?: string;
}

export interface PolicyWitness {
  /** Known only inside the policy; not the name of its key. */
  readonly name: string;
  readonly verifier: CosignatureVerifier;
  /** Submission prefix of tlog-witness, without a slash at the end. */
  readonly url?: string;
}

const BYTES_MAX = 256 * 1024;

/** Throws `audit.witness_policy` naming the first line that is wrong, and the `file` if it is given. */
export function parsePolicy(bytes: Uint8Array, file?: string): Policy {
  const refusal = (line: number, message: string): Error => {
    const where = [...(file === undefined ? [] : [file]), ...(line === 0 ? [] : [`line ${line}`]), message];
    return witnessProblems.witness_policy(where.join(': '));
  };
  if (bytes.length > BYTES_MAX) throw refusal(0, `the file has more than ${BYTES_MAX} bytes`);
  // One character for each octet: names are opaque octets, and only keys and addresses are text.
  const lines = Buffer.from(bytes).toString('latin1').split('\n');
  if (lines.pop() !== '') throw refusal(lines.length + 1, 'the last line does not end in a newline');
  const logs: PolicyLog[] = [];
  const witnesses: PolicyWitness[] = [];
  const rules = new Map<string, Rule>();
  const members = new Set<string>();
  const publicKeys = new Set<string>();
  let quorum: Rule | undefined;
  lines.forEach((text, at) => {
    try {
      read(text);
    } catch (error) {
      throw error instanceof Wrong ? refusal(at + 1, error.message) : error;
    }
  });
  if (quorum === undefined) throw refusal(lines.length, 'there is no quorum line');
  return { logs, witnesses, hasQuorum: quorum };

  function read(text: string): void {
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if ((code < 32 && code !== 9) || code === 127) throw new Wrong('it holds a control character');
    }
    const [keyword, ...items] = text.split(/[ \t]+/).filter((item) => item !== '');
    if (keyword === undefined || keyword.startsWith('#')) return;
    if (keyword === 'log') readLog(items);
    else if (keyword === 'witness') readWitness(items);
    else if (keyword === 'group') readGroup(items);
    else if (keyword === 'quorum') readQuorum(items);
    else throw new Wrong('it does not begin with log, witness, group or quorum');
  }

  function readLog([vkeyOctets = '', url, ...more]: readonly string[]): void {
    if (more.length > 0) throw new Wrong('a log has a key and perhaps an address');
    const vkey = utf8(vkeyOctets);
    const verifier = parseVerifierKey(vkey);
    if (verifier === undefined) throw new Wrong('this is not the verifier key of a log');
    claimKey(vkey, 'log');
    logs.push({ verifier, vkey, ...(url !== undefined && { url: addressOf(url) }) });
  }

  function readWitness([name = '', vkeyOctets = '', url, ...more]: readonly string[]): void {
    if (more.length > 0) throw new Wrong('a witness has a name, a key and perhaps an address');
    const verifier = parseCosignerKey(utf8(vkeyOctets));
    if (verifier === undefined) throw new Wrong('this is not the verifier key of a witness');
    claimKey(verifier.vkey, 'witness');
    define(name, (cosigned) => cosigned.has(name));
    witnesses.push({ name, verifier, ...(url !== undefined && { url: addressOf(url) }) });
  }

  function readGroup([name = '', threshold = '', ...names]: readonly string[]): void {
    if (names.length === 0) throw new Wrong('a group has a name, a threshold and members');
    const rulesOf = names.map((each) => {
      const rule = rules.get(each);
      if (rule === undefined) throw new Wrong(`"${utf8(each)}" is not defined before`);
      if (members.has(each)) throw new Wrong(`"${utf8(each)}" is a member already`);
      members.add(each);
      return rule;
    });
    const needed = thresholdOf(threshold, names.length);
    define(name, (cosigned) => rulesOf.filter((rule) => rule(cosigned)).length >= needed);
  }

  function readQuorum([name = '', ...more]: readonly string[]): void {
    if (quorum !== undefined) throw new Wrong('there is a quorum line already');
    const rule: Rule | undefined = name === 'none' ? () => true : rules.get(name);
    if (rule === undefined || more.length > 0)
      throw new Wrong('a quorum names what is defined before, or none');
    quorum = rule;
  }

  function define(name: string, rule: Rule): void {
    if (name === '' || name === 'none') throw new Wrong('this name cannot be defined');
    if (rules.has(name)) throw new Wrong(`"${utf8(name)}" is defined already`);
    rules.set(name, rule);
  }

  function claimKey(vkey: string, role: string): void {
    const { publicKey = new Uint8Array() } = splitVerifierKey(vkey) ?? {};
    const claim = `${role} ${Buffer.from(publicKey).toString('hex')}`;
    if (publicKeys.has(claim)) throw new Wrong(`another ${role} has the same key`);
    publicKeys.add(claim);
  }
}

type Rule = (cosigned: ReadonlySet<string>) => boolean;

class Wrong extends Error {}

function thresholdOf(text: string, members: number): number {
  if (text === 'all') return members;
  if (text === 'any') return 1;
  const needed = /^[1-9][0-9]{0,5}$/.test(text) ? Number(text) : 0;
  if (needed < 1 || needed > members) throw new Wrong(`a threshold is all, any, or 1 to ${members}`);
  return needed;
}

function addressOf(octets: string): string {
  const text = utf8(octets);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url !== undefined && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if (!isPlain || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new Wrong('the address is not an http or https URL without query or credentials');
  return url.href.replace(/\/+$/, '');
}

function utf8(octets: string): string {
  return Buffer.from(octets, 'latin1').toString('utf8');
}
