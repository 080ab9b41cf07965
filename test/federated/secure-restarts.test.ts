import { secureSteps, type SecureStep } from '@foedus/fl-core';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFederation, type Federation, type Partner } from './federation.ts';
import {
  enrolled,
  expectMoved,
  hasEnded,
  running,
  scriptedMember,
  startSession,
  trainerOf,
  updateOf,
} from './secure-member.ts';

let federation: Federation;
beforeAll(async () => {
  federation = await createFederation(['bdl', 'pvd', 'tul', 'bos']);
});
afterAll(async () => {
  await federation?.[Symbol.asyncDispose]();
});

const scales = [0.1, -0.2, 0.4, 0.6] as const;
const all = scales.map((scale) => trainerOf(scale));
const never = new AbortController().signal;
const keysOf = async ({ operator, agreementId }: Partner): Promise<string[]> =>
  (await operator.account(agreementId)).entries.map(({ key }) => key).toSorted();

describe('a coordinator that is killed', () => {
  test.for(secureSteps)(
    'while it waits for the %s abandons the round, asks nobody anything more in it, and holds another',
    async (step) => {
      const partners = await federation.agree({});
      await using run = await running(federation, partners.slice(0, 3), all.slice(0, 3));
      const id = await startSession(run, { rounds: 1, minimumCohort: 4 }, partners);
      const client = await enrolled(partners[3]!, id);
      await using first = await scriptedMember(client, scales[3]);
      const before = secureSteps[secureSteps.indexOf(step) - 1];
      if (before !== undefined) await first.upTo(before);
      // Everybody else has answered the step, and the coordinator waits for this one only.
      await run.coordinator.until(id, ({ rounds }) => {
        const { secure } = rounds.at(-1) ?? {};
        const others = partners.slice(0, 3).map(({ participantId }) => secure?.answered[participantId]);
        return secure?.step === step && others.every((answered) => answered === step);
      });
      run.coordinator = await run.coordinator.restart();
      for (const asked of secureSteps.slice(0, 4)) {
        await expect(client.coordinator.stepOutcome(1, asked, 1 << 20, never)).rejects.toMatchObject({
          code: 'round-over',
        });
      }
      await using second = await scriptedMember(client, scales[3]);
      expect(second.task).toMatchObject({ round: 2, modelHash: first.task.modelHash });
      await second.upTo('unmasking');
      const done = await run.coordinator.until(id, hasEnded);
      expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
      expect(done.rounds.map(({ phase }) => phase)).toEqual(['abandoned', 'done']);
      expect(done.rounds[0]!.reason).toMatch(/The coordinator was started again/);
      await expectMoved(run, done, scales.reduce((total, scale) => total + scale, 0) / 4);
      // What may have left is charged, what has not is not.
      const isSent = (['confirmation', 'unmasking'] satisfies SecureStep[] as SecureStep[]).includes(step);
      const charged = isSent || step === 'input' ? [`train/${id}/1`, `train/${id}/2`] : [`train/${id}/2`];
      for (const partner of partners.slice(0, 3)) expect(await keysOf(partner)).toEqual(charged);
    },
  );
});

describe('a client that is killed', () => {
  test('in training has dropped out of the round, which goes on, and takes part in the next', async () => {
    const partners = await federation.agree({});
    const { promise: begun, resolve: isBegun } = Promise.withResolvers<void>();
    const { promise: held } = Promise.withResolvers<void>();
    const starts = [...all.slice(0, 3), trainerOf(9, () => (isBegun(), held))];
    await using run = await running(federation, partners, starts);
    const id = await startSession(run, { rounds: 2, minimumCohort: 2 }, partners);
    await begun;
    // Its keys and shares are out; its secrets are gone with it.
    await run.coordinator.until(id, ({ rounds }) => rounds[0]?.secure?.step === 'input');
    await run.clients[3]![Symbol.asyncDispose]();
    run.clients[3] = await federation.client(partners[3]!, all[3]!);
    const done = await run.coordinator.until(id, hasEnded);
    expect(done).toMatchObject({ state: 'completed', roundsDone: 2 });
    const id3 = partners[3]!.participantId;
    expect(done.rounds.map(({ contributions }) => contributions[id3]!.status)).toEqual(['missed', 'received']);
    const three = scales.slice(0, 3).reduce((total, scale) => total + scale, 0);
    await expectMoved(run, done, three / 3 + (three + scales[3]) / 4);
    expect(await keysOf(partners[3]!)).toEqual([`train/${id}/2`]);
  });

  test('between masking and charge sends the same masked input, charged once, and answers nothing more in the round', async () => {
    const partners = await federation.agree({});
    const last = partners[3]!;
    const { promise: trained, resolve: isTrained } = Promise.withResolvers<void>();
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const starts = [...all.slice(0, 3), trainerOf(scales[3], () => (isTrained(), held))];
    await using run = await running(federation, partners, starts);
    const id = await startSession(run, { rounds: 1, minimumCohort: 2 }, partners);
    await trained;
    await run.coordinator.until(id, ({ rounds }) => rounds[0]?.secure?.step === 'input');
    // Its connector is away when the masked input is ready: it must wait, and is killed while it does.
    await last.connector[Symbol.asyncDispose]();
    release();
    await run.coordinator.until(id, ({ participants }) =>
      participants.some(({ participantId, phase }) => participantId === last.participantId && phase === 'charging'),
    );
    await run.clients[3]![Symbol.asyncDispose]();
    const masked = await storedInputs(last);
    expect(masked).toHaveLength(1);
    const again = await last.restart();
    expect((await again.operator.account(last.agreementId)).entries).toHaveLength(0);
    run.clients[3] = await federation.client(last, trainerOf(9));
    const done = await run.coordinator.until(id, hasEnded);
    expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
    // The input counts without having been trained again; three of four are enough to take the masks off.
    await expectMoved(run, done, scales.reduce((total, scale) => total + scale, 0) / 4);
    expect((await again.operator.account(last.agreementId)).entries.map(({ key }) => key)).toEqual([`train/${id}/1`]);
  });

  /** Everything that lies on a client's disk for open rounds; nothing of it may be an update in the clear. */
  const storedInputs = async ({ name }: Partner): Promise<string[]> => {
    const folder = join(federation.space.folder, name, 'client');
    const files = await readdir(folder, { recursive: true });
    const plain = Buffer.from(updateOf(scales[3]).buffer);
    for (const file of files.filter((path) => /\.(masked|update|answer)$/.test(path))) {
      expect((await readFile(join(folder, file))).includes(plain.subarray(0, 16)), file).toBe(false);
    }
    return files.filter((file) => file.endsWith('.masked'));
  };
});
