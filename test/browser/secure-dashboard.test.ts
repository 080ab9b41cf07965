import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SessionPromise } from '@foedus/fl-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createFederation, type Federation } from '../federated/federation.ts';
import {
  enrolled,
  hasEnded,
  running,
  type Run,
  scriptedMember,
  type ScriptedMember,
  securely,
  trainerOf,
} from '../federated/secure-member.ts';
import { findChromium, launchChromium } from './chromium.ts';
import { createGate } from './gate.ts';
import { inPage } from './in-page.ts';

const executable = findChromium();
const output = join(import.meta.dirname, '..', 'output');
/** As hostile and as long as a certificate allows a name to be. */
const hostile = `<img/src=x/onerror=document.title=1>${'x'.repeat(120)}`;
const hostileId = `did:web:${hostile}.example`;
const shownName = `${hostile.slice(0, 27)}…xxxx.example`;
const rounds = 1;

if (executable === null) console.log('The browser tests are skipped: no Chromium found. Set CHROMIUM_PATH to one.');

// Under CI a missing browser is a failure, not a reason to skip.
describe.skipIf(executable === null && process.env['CI'] === undefined)(
  'a session under secure aggregation on the dashboard',
  { timeout: 180_000 },
  () => {
    const gate = createGate();
    const parts = new AsyncDisposableStack();
    const complaints: string[] = [];
    let federation: Federation;
    let run: Run;
    let browser: Browser;
    let page: Page;
    let sessionId: string;
    let member: ScriptedMember;

    const shown = (selector: string, text: string | RegExp) => page.locator(selector).filter({ hasText: text }).first();
    const stepAt = (name: string) => shown('.steps li[aria-current=step]', name).waitFor();
    const row = (round: number) =>
      page.locator('.secure tbody tr').filter({ has: page.locator(`th:text-is("${round}")`) });

    beforeAll(async () => {
      if (executable === null) throw new Error('No Chromium found. Install it, or set CHROMIUM_PATH.');
      await mkdir(output, { recursive: true });
      federation = parts.use(await createFederation(['bdl', 'pvd', 'tul', hostile]));
      const trainers = [0.1, -0.2, 0.4].map((scale) => trainerOf(scale, (round) => gate.waitFor(round)));
      // However long a busy machine takes, nobody is away who does not say so.
      run = parts.use(
        await running(federation, federation.partners.slice(0, 3), trainers, { awayAfterSeconds: 3_600 }),
      );
      parts.defer(() => gate.openUpTo(Number.POSITIVE_INFINITY));
      const draft = {
        ...securely,
        rounds,
        minimumCohort: 4,
        roundTimeoutSeconds: 3_600,
        secureAggregation: { mode: 'active-server', clip: 10, stepTimeoutSeconds: 3_600 },
      } as const;
      ({ id: sessionId } = await run.coordinator.plan(draft, federation.partners));
      browser = await launchChromium(executable);
      parts.defer(() => browser.close());
      const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, colorScheme: 'light' });
      // A machine may be busy with other things.
      context.setDefaultTimeout(60_000);
      page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
      });
      await page.goto(`${run.coordinator.urls.operatorUrl}/#token=${encodeURIComponent(run.coordinator.token)}`);
    }, 120_000);

    afterAll(async () => {
      await member?.[Symbol.asyncDispose]();
      await parts.disposeAsync();
    }, 120_000);

    test('says before it begins who sees what, and that no round is under way', async () => {
      await shown(
        '.secure .explanation',
        'nobody’s update, whatever it sends, while fewer than a third of the',
      ).waitFor();
      await shown('.step-words', 'No round is under way: one begins with everybody who is there.').waitFor();
      expect(await page.locator('.steps li').allTextContents()).toHaveLength(5);
      expect(await page.locator('.steps li[aria-current]').count()).toBe(0);
      expect(await page.locator('.secure table').isVisible()).toBe(false);
    });

    test('shows the step that the round is at, the cohort, and what it takes', async () => {
      await run.coordinator.session('POST', `/api/sessions/${sessionId}/start`, {});
      member = await scriptedMember(await enrolled(federation.partners[3]!, sessionId), 0.6);
      await stepAt('Keys');
      await shown('.step-words', '4 members began this round. It has output with 4 or more in the sum').waitFor();
      await shown('.step-words', 'shares of 3 are needed to take a mask off').waitFor();
      // Everybody else has sent keys: the round waits for the one with the hostile name.
      await shown('.steps li[aria-current=step]', '3 of 4').waitFor();
      await shown('.secure tbody td', 'Under way: keys.').waitFor();
      await member.upTo('shares');
      await stepAt('Masked updates');
      const words = (await page.locator('.steps li').allInnerTexts()).map((text) =>
        text.replaceAll(/\s+/g, ' ').trim(),
      );
      expect(words).toEqual([
        'Keys 4 of 4, done',
        'Shares 4 of 4, done',
        '3 Masked updates 0 of 4',
        '4 Confirmation',
        '5 Unmasking',
      ]);
      await shown('.progress-words', `Round 1 of ${rounds}: partners are training`).waitFor();
      await page.screenshot({ path: join(output, 'dashboard-secure-running.png'), fullPage: true });
    });

    test('says who dropped out at which step, and why the round ended without output', async () => {
      const again = await scriptedMember(await enrolled(federation.partners[3]!, sessionId), 0.6);
      // Other keys than before: whoever has lost its secrets is out of the round.
      await expect(again.step()).rejects.toMatchObject({ code: 'dropped-out' });
      await again[Symbol.asyncDispose]();
      gate.openUpTo(1);
      await row(1).filter({ hasText: 'No output:' }).waitFor();
      expect(await row(1).locator('td').first().textContent()).toBe('3 of 4');
      expect(await row(1).locator('.without-output').textContent()).toBe(
        'No output: 3 of at least 4 members are left: the round ends without output.',
      );
      expect(await row(1).locator('.dropped li').allTextContents()).toEqual([`${shownName} sent no masked update`]);
      await shown('.message', 'No output from round 1').waitFor();
      await shown('.message', `${shownName} missed round 1`).waitFor();
    });

    test('counts an update whose sender is gone before the masks are off, and says so', async () => {
      const { client } = member;
      member = await scriptedMember(client, 0.6);
      expect(member.task.round).toBe(2);
      await member.upTo('input');
      await shown('.steps li[aria-current=step]', '1 of 4').waitFor();
      // Its input is in the sum by now: a refusal only means that it will not answer any more.
      await client.coordinator.refuse(
        2,
        { code: 'stopping', reason: 'The node is being stopped.' },
        new AbortController().signal,
      );
      gate.openUpTo(2);
      const done = await run.coordinator.until(sessionId, hasEnded);
      expect(done).toMatchObject({ state: 'completed', roundsDone: 1 });
      await row(2).filter({ hasText: 'A new model' }).waitFor();
      expect(await row(2).locator('td').allTextContents()).toEqual([
        '4 of 4',
        `A new model.${shownName} did not confirm the survivors; its update counts`,
      ]);
      await shown('.step-words', 'No round is under way.').waitFor();
      await shown('.message.warn', `${shownName} dropped out of round 2`).waitFor();
    });

    test.each([
      ['light', 1440, 1000],
      ['dark', 1440, 1000],
      ['phone', 390, 844],
    ] as const)('is readable, whatever partners are called: %s', async (look, width, height) => {
      await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light', reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height });
      expect(await page.evaluate(inPage.structureProblems)).toEqual([]);
      expect((await page.evaluate(inPage.contrastProblems)).low).toEqual([]);
      expect(await page.evaluate(inPage.overflow)).toBe(0);
      await page.screenshot({ path: join(output, `dashboard-secure-${look}.png`), fullPage: true });
    });

    test('says why a session cannot be held as planned, and by how much its noise is too little', async () => {
      const partners = (await federation.agree({ epsilon: 2 })).slice(0, 3);
      const draft = { ...securely, title: 'Too long for its budget', rounds: 40, minimumCohort: 3 };
      const { id } = await run.coordinator.plan(draft, partners, { endsEarly: true });
      await page.setViewportSize({ width: 1440, height: 1000 });
      await shown('.session-list a', 'Too long for its budget').click();
      await shown('h1', 'Too long for its budget').waitFor();
      await shown('.promise .refusal', 'The session cannot be held as planned:').waitFor();
      const response = await run.coordinator.call('GET', `/api/sessions/${id}/promise`);
      const promise = (await response.json()) as SessionPromise;
      // The same for all three, so it is said once.
      const [why] = promise.partners[0]!.reasons;
      expect(await page.locator('.promise .refusal').allTextContents()).toEqual([
        'The session cannot be held as planned:',
        `bdl.example, pvd.example and tul.example: ${why!.words}`,
      ]);
      const enough = /with noise multiplier (\d+\.\d{3})/.exec(why!.words)![1]!;
      const little = shown('.trade-off .refusal', 'which is too little');
      await little.waitFor({ timeout: 120_000 });
      const least = / take noise of (\d+\.\d{3}) at least; 1\.000 is planned/.exec((await little.textContent())!)![1];
      expect(Math.abs(Number(least) - Number(enough))).toBeLessThan(0.0015);
      await page.screenshot({ path: join(output, 'dashboard-refused.png'), fullPage: true });
    });

    test('has shown the hostile name as text, and complained of nothing', async () => {
      expect(await page.locator('img').count()).toBe(0);
      await shown('.session-list a', 'Will a flight leave late?').click();
      await page.locator(`[title="${hostileId}"]`).first().waitFor();
      expect(await page.title()).toMatch(/Foedus coordinator$/);
      expect(complaints).toEqual([]);
    });
  },
);
