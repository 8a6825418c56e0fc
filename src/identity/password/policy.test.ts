import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isProblem } from '../../kernel/problem.ts';
import { newApiKeyText } from '../api-key.ts';
import { identityProblems } from '../problems.ts';
import { checkPassword, type PasswordRule } from './policy.ts';

const CONTEXT = ['ada', 'ml-prod.example.org'];

test('any other 15 to 256 characters are accepted, with no rules of composition', () => {
  for (const password of [
    'violet tubas at',
    'nur kleine buchstaben hier',
    '🦊🐻🐼🐨🐯🦁🐮🐷🐸🐵🐔🐧🐦🐤🦆',
    'ada likes seventeen violet tubas',
    'kJ8#qP2x!vN5wZ0',
    'a:colon is fine here',
    'пятнадцать букв',
    'xq zv '.concat('many different words in a long line ').repeat(5),
  ]) {
    assert.doesNotThrow(() => checkPassword(password, CONTEXT), password);
  }
});

const REFUSED: readonly (readonly [string, PasswordRule])[] = [
  ['', 'too_short'],
  ['fourteen chars', 'too_short'],
  ['🦊'.repeat(14), 'too_short'],
  ['ab cd ef '.repeat(30), 'too_long'],
  ['violet tubas\u0000 at noon', 'control_character'],
  ['violet tubas\n at noon', 'control_character'],
  ['violet tubas \ud800 at noon', 'control_character'],
  ['correct horse battery staple', 'common'],
  ['Password-Password', 'common'],
  ['aaaaaaaaaaaaaaaa', 'repetition'],
  ['abababababababab', 'repetition'],
  ['secret.secret.secret.', 'repetition'],
  ['abcdefghijklmnopqrstu', 'sequence'],
  ['9876543210987654321x', 'sequence'],
  ['zyxwvutsrqponmlk', 'sequence'],
  ['qwertyuioplkjhgfdsa', 'sequence'],
  ['modelkeep-admin-2026', 'context'],
  ['Ada!Ada?Password1', 'context'],
  ['ml-prod.example.org1', 'context'],
  ['example-ml-ada-prod', 'context'],
];

for (const [password, rule] of REFUSED) {
  test(`refuses ${JSON.stringify(password.slice(0, 24))} by the rule ${rule}`, () => {
    assert.throws(
      () => checkPassword(password, CONTEXT),
      (error) => {
        assert.ok(isProblem(error, identityProblems.password_refused));
        assert.equal(error.members['rule'], rule);
        if (password !== '') assert.ok(!JSON.stringify(error).includes(password));
        return true;
      },
    );
  });
}

test('refuses a password of the form of an API key: Basic would take it for one', () => {
  assert.throws(
    () => checkPassword(newApiKeyText().text, CONTEXT),
    (error) => isProblem(error, identityProblems.password_refused) && error.members['rule'] === 'api_key',
  );
});
