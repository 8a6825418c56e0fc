import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isProblem } from '../../../kernel/problem.ts';
import { cryptoProblems } from '../../problems.ts';
import { installHint, loadOptionalPackage } from './optional-package.ts';

describe('a package that is not installed', () => {
  it('is named with the command that installs it, in a checkout', async () => {
    const name = 'modelkeep-no-such-package';
    await assert.rejects(
      loadOptionalPackage(name, () => import(name)),
      (error) =>
        isProblem(error, cryptoProblems.root_key_package_missing) &&
        error.detail === `run in this checkout of modelkeep: npm install --save-dev ${name}`,
    );
  });

  it('and where Modelkeep is a package itself', () => {
    assert.equal(
      installHint('pkcs11js', '/srv/app/node_modules/modelkeep/dist/crypto/root-key/remote'),
      'run where modelkeep was installed: npm install pkcs11js (with --global if modelkeep was)',
    );
  });

  it('is not what a package that fails to load is taken for', async () => {
    const broken = new Error('its native part does not load');
    await assert.rejects(
      loadOptionalPackage('pkcs11js', () => Promise.reject(broken)),
      broken,
    );
  });
});
