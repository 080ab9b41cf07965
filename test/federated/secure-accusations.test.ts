/** Members that say of another one that its shares cannot be opened, to the coordinator's side of a round. */
import { advertiseKeys, shareSecrets, type Advertised } from '@foedus/fl-core';
import { expect, test } from 'vitest';
import { createSecureRound } from '../../fl-coordinator/src/session/secure-round.ts';
import { createCohort } from '../../fl-core/src/secure-aggregation/cohort.test-data.ts';

const always = (): boolean => true;

/** A round of five whose members have sent their keys. */
async function begun() {
  const { terms, verify, edges } = createCohort(5);
  const culprits: string[] = [];
  const round = createSecureRound({
    task: { terms, policies: [] },
    verify,
    stepSeconds: 60,
    inputSeconds: 60,
    onCulprit: (participantId) => culprits.push(participantId),
    now: () => 0,
  });
  const states: Advertised[] = [];
  for (const [member, id] of terms.cohort.entries()) {
    const { state, message } = await advertiseKeys(terms, id, edges(member));
    states.push(state);
    await round.accept('keys', id, message, `keys of ${id}`);
  }
  expect(round.advance(always)).toMatchObject({ kind: 'step', step: 'shares' });
  const share = async (): Promise<void> => {
    for (const [member, id] of terms.cohort.entries()) {
      const roster = await round.outcome('keys', id, 0, AbortSignal.timeout(60_000));
      const { message } = await shareSecrets(states[member]!, roster, edges(member));
      await round.accept('shares', id, message, `shares of ${id}`);
    }
    expect(round.advance(always)).toMatchObject({ kind: 'step', step: 'input' });
  };
  return { round, share, culprits, cohort: terms.cohort as [string, string, string, string, string] };
}

test('are believed when more than half of those say so that it has shared with', async () => {
  const { round, share, culprits, cohort } = await begun();
  const [a, b, c, , accused] = cohort;
  await share();
  round.accuse(a, accused);
  round.accuse(b, accused);
  // Again, of itself, and by a stranger: no more voices than before.
  round.accuse(b, accused);
  round.accuse(accused, accused);
  round.accuse('did:web:stranger.example', accused);
  expect(culprits).toEqual([]);
  round.accuse(c, accused);
  expect(culprits).toEqual([accused]);
});

test('are not believed before anything was shared', async () => {
  const { round, share, culprits, cohort } = await begun();
  const [a, b, c, , accused] = cohort;
  for (const member of [a, b, c]) round.accuse(member, accused);
  await share();
  round.accuse(a, accused);
  expect(culprits).toEqual([]);
});
