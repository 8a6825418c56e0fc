import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { alertsOf, createStory, DAY, HOUR, MINUTE, rulesOf, SECOND } from './testing.ts';

describe('A1 brute force', () => {
  it('is twenty refusals with five different secrets in five minutes, and cites them', () => {
    const story = createStory();
    for (let i = 0; i < 20; i++, story.now += 10 * SECOND) story.refuse('usr_1', '9.9.9.9', `s${i % 5}`);
    const [alert, ...rest] = alertsOf(story);
    assert.deepEqual(rest, []);
    assert.equal(alert?.rule, 'A1');
    assert.deepEqual(alert?.key, { principal: 'usr_1', address: '9.9.9.9' });
    assert.equal(alert?.at, 19);
    assert.deepEqual(alert?.evidence, [...Array(20).keys()]);
    assert.deepEqual(alert?.attack, ['T1110.001']);
    assert.equal(alert?.response, 'block-pair');
    assert.equal(alert?.expiresAt, alert.time + HOUR);
  });

  it('alerts once in a window while it goes on, and again after it', () => {
    const story = createStory();
    for (let i = 0; i < 60; i++, story.now += 10 * SECOND) story.refuse('usr_1', '9.9.9.9', `s${i}`);
    const times = alertsOf(story)
      .filter(({ rule }) => rule === 'A1')
      .map(({ at }) => at);
    assert.deepEqual(times, [19, 49]);
  });

  it('is not a stale client with one wrong secret, ten thousand times: that is A7, low', () => {
    const story = createStory();
    for (let i = 0; i < 10_000; i++, story.now += 200) story.refuse('usr_1', '9.9.9.9', 'old');
    const alerts = alertsOf(story);
    assert.deepEqual([...new Set(alerts.map(({ rule, severity }) => `${rule} ${severity}`))], ['A7 low']);
    assert.ok(alerts.every(({ response }) => response === 'observe'));
    assert.equal(alerts.length, Math.ceil((10_000 * 200) / (10 * MINUTE)));
  });

  it('is not somebody who mistypes four times, comes in, and mistypes again', () => {
    const story = createStory();
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 4; i++, story.now += SECOND) story.refuse('usr_1', '9.9.9.9', `typo ${round} ${i}`);
      story.succeed('usr_1', '9.9.9.9');
    }
    assert.deepEqual(rulesOf(story), []);
  });

  it('is not reset by a success elsewhere', () => {
    const story = createStory();
    for (let i = 0; i < 20; i++, story.now += SECOND) {
      story.refuse('usr_1', '9.9.9.9', `s${i}`);
      story.succeed('usr_1', '10.0.0.1');
    }
    assert.deepEqual(rulesOf(story), ['A1']);
  });

  it('is not the same number spread over an hour', () => {
    const story = createStory();
    for (let i = 0; i < 20; i++, story.now += 3 * MINUTE) story.refuse('usr_1', '9.9.9.9', `s${i}`);
    assert.deepEqual(rulesOf(story), []);
  });
});

describe('A1 and the owner of the account', () => {
  const attack = (story: ReturnType<typeof createStory>) => {
    for (let i = 0; i < 40; i++, story.now += SECOND) story.refuse('usr_1', '9.9.9.9', `s${i}`);
  };
  const addressesOf = (story: ReturnType<typeof createStory>) =>
    alertsOf(story)
      .filter(({ rule }) => rule === 'A1')
      .map(({ key }) => key.address);

  it('does not name an address where the owner mistypes, or a stale client goes on, meanwhile', () => {
    const story = createStory();
    attack(story);
    for (let i = 0; i < 4; i++, story.now += SECOND) story.refuse('usr_1', '10.0.0.1', `typo ${i}`);
    for (let i = 0; i < 30; i++, story.now += SECOND) story.refuse('usr_1', '10.0.0.2', 'old');
    assert.deepEqual(addressesOf(story), ['9.9.9.9']);
  });

  it('never counts what others did against an address that the owner came in from', () => {
    const story = createStory();
    story.succeed('usr_1', '10.0.0.1');
    attack(story);
    for (let i = 0; i < 19; i++, story.now += SECOND) story.refuse('usr_1', '10.0.0.1', `typo ${i}`);
    assert.deepEqual(addressesOf(story), ['9.9.9.9']);
    story.refuse('usr_1', '10.0.0.1', 'typo 20');
    assert.deepEqual(addressesOf(story), ['9.9.9.9', '10.0.0.1']);
  });

  it('names each of several addresses that guess together', () => {
    const story = createStory();
    for (let i = 0; i < 40; i++, story.now += SECOND) story.refuse('usr_1', `9.9.9.${i % 3}`, `s${i}`);
    assert.deepEqual(new Set(addressesOf(story)), new Set(['9.9.9.0', '9.9.9.1', '9.9.9.2']));
  });
});

describe('A2 brute force from an address', () => {
  it('is thirty refusals with more secrets than principals, also of names that are nobody', () => {
    const story = createStory();
    for (let i = 0; i < 30; i++, story.now += SECOND)
      story.refuse(undefined, '9.9.9.9', `s${i}`, { detail: { claimTag: `name ${i % 3}` } });
    const alert = alertsOf(story).find(({ rule }) => rule === 'A2');
    assert.deepEqual(alert?.key, { address: '9.9.9.9' });
    assert.equal(alert?.response, 'throttle');
  });

  it('is not an office where ten clients each go on with a stale secret', () => {
    const story = createStory();
    for (let i = 0; i < 500; i++, story.now += SECOND) {
      const who = i % 10;
      story.refuse(`usr_${who}`, '9.9.9.9', `old ${who}`);
    }
    assert.ok(!rulesOf(story).includes('A2'));
  });

  it('counts a coalesced entry as the attempts it stands for', () => {
    const story = createStory();
    for (let i = 0; i < 5; i++, story.now += SECOND) story.refuse(undefined, '9.9.9.9', `s${i}`);
    story.refuse(undefined, '9.9.9.9', '', { detail: { count: 900, secretTag: '' } });
    assert.deepEqual(rulesOf(story), ['A2']);
  });
});

describe('A3 spraying', () => {
  const spray = () => {
    const story = createStory();
    for (let i = 0; i < 16; i++, story.now += 20 * SECOND) story.refuse(`usr_${i}`, '9.9.9.9', 'Winter2026');
    return story;
  };

  it('is fifteen principals tried from one address', () => {
    const alert = alertsOf(spray()).find(({ rule }) => rule === 'A3');
    assert.equal(alert?.at, 14);
    assert.equal(alert?.principals?.length, 15);
    assert.equal(alert?.wholeAddress, true);
  });

  it('spares the address as a whole when somebody came in from it', () => {
    const story = createStory();
    story.succeed('usr_good', '9.9.9.9');
    for (const { entry } of spray().entries) story.add(entry);
    const alert = alertsOf(story).find(({ rule }) => rule === 'A3');
    assert.ok(alert);
    assert.equal(alert.wholeAddress, undefined);
  });

  it('is not an office of two hundred where one in four mistypes and then comes in', () => {
    const story = createStory();
    for (let i = 0; i < 200; i++, story.now += 3 * SECOND) {
      if (i % 4 === 0) story.refuse(`usr_${i}`, '9.9.9.9', `typo ${i}`);
      story.succeed(`usr_${i}`, '9.9.9.9');
    }
    assert.deepEqual(rulesOf(story), []);
  });
});

describe('A4 stuffing', () => {
  it('is found by network when every attempt has its own address, and is critical when one fits', () => {
    const story = createStory();
    for (let i = 0; i < 26; i++, story.now += 10 * SECOND)
      story.refuse(`usr_${i}`, `9.9.9.${i}`, `leaked ${i}`);
    story.succeed('usr_77', '9.9.9.200');
    const alerts = alertsOf(story).filter(({ rule }) => rule === 'A4');
    assert.deepEqual(
      alerts.map(({ key, severity }) => [key, severity]),
      [
        [{ network: '9.9.9.0/24' }, 'high'],
        [{ principal: 'usr_77', address: '9.9.9.200' }, 'critical'],
      ],
    );
    assert.equal(alerts[1]?.evidence.at(-1), 26);
  });

  it('does not turn on a neighbour who has worked behind the same address before', () => {
    const story = createStory();
    story.succeed('usr_neighbour', '9.9.9.9');
    story.now += DAY;
    for (let i = 0; i < 26; i++, story.now += 10 * SECOND) story.refuse(`usr_${i}`, '9.9.9.9', `leaked ${i}`);
    story.succeed('usr_neighbour', '9.9.9.9');
    assert.ok(
      alertsOf(story).every(({ severity, key }) => severity !== 'critical' && key.address !== undefined),
    );
  });

  it('is not one user with twenty-five typing errors', () => {
    const story = createStory();
    for (let i = 0; i < 25; i++, story.now += 10 * SECOND) story.refuse('usr_1', '9.9.9.9', 'same');
    assert.deepEqual(rulesOf(story), []);
  });
});

describe('A5 distributed guessing', () => {
  it('is one principal tried from five addresses', () => {
    const story = createStory();
    for (let i = 0; i < 5; i++, story.now += 5 * MINUTE) story.refuse('usr_1', `${i}.9.9.9`, `s${i}`);
    const [alert] = alertsOf(story);
    assert.equal(alert?.rule, 'A5');
    assert.equal(alert?.response, 'step-up');
  });

  it('is not a changed password that six machines have not heard of', () => {
    const story = createStory();
    for (let i = 0; i < 60; i++, story.now += 20 * SECOND) story.refuse('usr_1', `${i % 6}.9.9.9`, 'old');
    assert.deepEqual(rulesOf(story), []);
  });
});

describe('A6 success after guessing', () => {
  it('is critical, and cites the guesses and the success', () => {
    const story = createStory();
    for (let i = 0; i < 21; i++, story.now += SECOND) story.refuse('usr_1', '9.9.9.9', `s${i}`);
    story.succeed('usr_1', '9.9.9.9');
    const alert = alertsOf(story).find(({ rule }) => rule === 'A6');
    assert.equal(alert?.severity, 'critical');
    assert.deepEqual(alert?.evidence.slice(-2), [20, 21]);
    assert.ok(alert.evidence.length > 2);
  });

  it('is not the owner, at the usual place, who mistypes once while others guess from elsewhere', () => {
    const story = createStory();
    story.succeed('usr_1', '10.0.0.1');
    story.now += HOUR;
    for (let i = 0; i < 6; i++, story.now += MINUTE) story.refuse('usr_1', `${i}.9.9.9`, `s${i}`);
    story.refuse('usr_1', '10.0.0.1', 'typo');
    story.succeed('usr_1', '10.0.0.1');
    assert.deepEqual(rulesOf(story), ['A5']);
  });

  it('is not a success an hour later', () => {
    const story = createStory();
    for (let i = 0; i < 21; i++, story.now += SECOND) story.refuse('usr_1', '9.9.9.9', `s${i}`);
    story.now += HOUR;
    story.succeed('usr_1', '9.9.9.9');
    assert.deepEqual(rulesOf(story), ['A1']);
  });
});
