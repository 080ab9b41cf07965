import { histogramEvent, lengthsAround, noiseByRounds, subsampledGaussian } from '@foedus/fl-core';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, launchChromium } from './chromium.ts';
import { inPage } from './in-page.ts';
import { needed, openTrainingSpace, plan, plannedRounds, strict, type TrainingSpace } from './training-space.ts';

/** The least noise with which the test's plan keeps to a budget for so many rounds: as the command finds it. */
function leastNoise(rounds: number, epsilon: number): number {
  const { samplingRate, steps } = plan.local;
  const { every = 1, noise } = plan.evaluation;
  const [found = null] = noiseByRounds({
    budget: { epsilon, delta: plan.privacy?.delta ?? 0 },
    lengths: [rounds],
    releasesOf: (noiseMultiplier, count) => [
      subsampledGaussian({ noiseMultiplier, samplingRate, steps: steps * count }),
      ...(noise ? [{ ...histogramEvent(noise), steps: Math.floor(count / every) }] : []),
    ],
  });
  // What is planned is enough, however the least is rounded.
  return rounds === plannedRounds
    ? Math.min(found ?? Number.NaN, plan.privacy?.noiseMultiplier ?? 0)
    : (found ?? Number.NaN);
}

const executable = findChromium();
const output = join(import.meta.dirname, '..', 'output');
const title = 'Will a flight leave late?';
/** Another partner's words, as hostile as they can be. */
const hostileTitle = '<img src=x onerror="document.title=1"> \u202Eevil';

if (executable === null) console.log('The browser tests are skipped: no Chromium found. Set CHROMIUM_PATH to one.');

// Under CI a missing browser is a failure, not a reason to skip.
describe.skipIf(executable === null && process.env['CI'] === undefined)(
  'the dashboard in a real browser',
  { timeout: 180_000 },
  () => {
    let folder: string;
    let space: TrainingSpace;
    let browser: Browser;
    let context: BrowserContext;
    let page: Page;
    const complaints: string[] = [];
    const strangers: string[] = [];

    const shown = (selector: string, text: string | RegExp) => page.locator(selector).filter({ hasText: text }).first();
    const state = (words: string) => shown('.session-head .badge', words).waitFor();
    const focused = () => page.evaluate(inPage.focusedText);
    /** Presses Tab until the button is focused, as somebody without a mouse does. */
    const tabTo = async (name: string): Promise<void> => {
      for (let presses = 0; presses < 80; presses += 1) {
        await page.keyboard.press('Tab');
        if ((await focused()) === name) return;
      }
      expect.fail(`${name} cannot be reached by the Tab key`);
    };
    const screenshot = async (name: string): Promise<void> => {
      await page.screenshot({ path: join(output, `dashboard-${name}.png`), fullPage: true });
    };

    beforeAll(async () => {
      if (executable === null) throw new Error('No Chromium found. Install it, or set CHROMIUM_PATH.');
      folder = await mkdtemp(join(tmpdir(), 'foedus-browser-'));
      await mkdir(output, { recursive: true });
      space = await openTrainingSpace(folder);
      await space.planSession(hostileTitle);
      await space.planSession(title);
      browser = await launchChromium(executable);
      context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, colorScheme: 'light' });
      // A machine may be busy with other things.
      context.setDefaultTimeout(60_000);
      page = await context.newPage();
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
      });
      page.on('request', (request) => {
        if (new URL(request.url()).origin !== new URL(space.operatorUrl).origin) strangers.push(request.url());
      });
    }, 60_000);

    afterAll(async () => {
      await browser?.close();
      await space?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    }, 60_000);

    test('signs in with the token of the address and takes it out of the address', async () => {
      await page.goto(`${space.operatorUrl}/#token=${encodeURIComponent(space.token)}`);
      await shown('h1', title).waitFor();
      expect(page.url()).not.toContain(space.token);
      expect(await page.evaluate(inPage.readableCookies)).toBe('');
      await state('Planned');
    });

    test('shows hostile text as text', async () => {
      await shown('.session-list a', 'evil').click();
      await shown('h1', '<img src=x').waitFor();
      expect(await page.locator('h1').textContent()).toBe(hostileTitle.replace('\u202E', '\uFFFD'));
      expect(await page.locator('img').count()).toBe(0);
      await page.goBack();
      await shown('h1', title).waitFor();
    });

    test('shows what each partner’s rows will have paid, round by round, before anybody trains', async () => {
      await shown('.promise .legend-value', /ε \d+\.\d\d/).waitFor();
      await shown('.promise .verdict', 'The session can be held as planned.').waitFor();
      await shown('.promise .sentences li', 'Every update has the same weight').waitFor();
      await page.getByRole('button', { name: 'Show as table: Planned ε by round' }).click();
      const rows = page.locator('.promise tbody tr');
      expect(await rows.count()).toBe(plannedRounds);
      // The strict partner's budget is what the planned rounds cost, to the cent.
      const [round, spent, ...limits] = await rows.first().locator('th, td').allTextContents();
      expect(round).toBe(String(plannedRounds));
      expect(limits).toContain(spent);
      await page.getByRole('button', { name: 'Show as chart: Planned ε by round' }).click();
    });

    test('shows how much noise each number of rounds takes within each budget, as foedus privacy plan does', async () => {
      // A thread works it out, and the machine may have other things to do.
      await shown('.trade-off .legend-round', `${plannedRounds} rounds`).waitFor({ timeout: 120_000 });
      const budgetOf = (airport: string, rounds: number) => ({
        label: `${airport}: ε\u00A0${needed(rounds).toFixed(2)} at δ\u00A01e-5`,
        least: leastNoise(plannedRounds, needed(rounds)),
      });
      const tight = budgetOf('abq.example', plannedRounds);
      const wide = budgetOf('bdl.example and sat.example', plannedRounds * 2);
      expect(await page.locator('.trade-off .legend-name').allTextContents()).toEqual([
        tight.label,
        wide.label,
        'This plan',
      ]);
      const planned = (plan.privacy?.noiseMultiplier ?? 0).toFixed(3);
      expect(await page.locator('.trade-off .legend-value').allTextContents()).toEqual([
        tight.least.toFixed(3),
        wide.least.toFixed(3),
        planned,
      ]);
      await shown('.trade-off .verdict', `abq.example: ${plannedRounds} rounds within`).waitFor();
      await page.getByRole('button', { name: 'Show as table: Noise by number of rounds' }).click();
      const rows = await page.locator('.trade-off tbody th').allTextContents();
      expect(rows.toReversed().map(Number)).toEqual(lengthsAround(plannedRounds));
      const longest = await page.locator('.trade-off tbody tr').first().locator('td').allTextContents();
      expect(longest).toEqual([
        leastNoise(plannedRounds * 4, needed(plannedRounds)).toFixed(3),
        leastNoise(plannedRounds * 4, needed(plannedRounds * 2)).toFixed(3),
        '–',
      ]);
      await page.getByRole('button', { name: 'Show as chart: Noise by number of rounds' }).click();
    });

    test('starts the session from the keyboard and shows rounds as they happen', async () => {
      await tabTo('Start');
      expect(await page.evaluate(inPage.focusedOutline)).toBe('solid');
      await page.keyboard.press('Enter');
      await state('Running');
      await shown('.participants tbody tr', 'training').waitFor();
      space.gate.openUpTo(2);
      await shown('.progress-words', `Round 3 of ${plannedRounds}: partners are training`).waitFor();
      await shown('.metric-auc .legend-round', 'Round 2').waitFor();
      await shown('.budget-numbers', /ε \d+\.\d\d of \d+\.\d\d at δ 1e-5, \d+\.\d\d left/).waitFor();
      await screenshot('running');
    });

    test('pauses and resumes with the focus staying where the operator is', async () => {
      await tabTo('Pause');
      await page.keyboard.press('Space');
      await state('Paused');
      expect(await focused()).toBe('Resume');
      await page.keyboard.press('Space');
      await state('Running');
      expect(await focused()).toBe('Pause');
    });

    test('asks before it stops a session', async () => {
      await tabTo('Stop…');
      await page.keyboard.press('Enter');
      await page.getByRole('dialog', { name: 'Stop this session for good?' }).waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'hidden' });
      expect(await focused()).toBe('Stop…');
      await state('Running');
    });

    test('reports the end, and every value of the charts as a table', async () => {
      space.gate.openUpTo(plannedRounds);
      await state('Completed');
      await shown('.participants tbody tr', 'Took part').waitFor();
      expect(await page.locator('[aria-live=polite]').textContent()).toMatch(/Completed/);
      await page.getByRole('button', { name: 'Show as table: AUC by round' }).click();
      const rows = page.locator('.metric-auc tbody tr');
      expect(await rows.count()).toBe(plannedRounds);
      expect(await page.locator('.metric-auc thead th').allTextContents()).toEqual([
        'Round',
        'abq.example',
        'bdl.example',
        'sat.example',
        'Mean',
      ]);
      expect(await rows.first().locator('th, td').allTextContents()).toEqual([
        '6',
        '0.7100',
        '0.7400',
        '0.6500',
        '0.7000',
      ]);
      await page.getByRole('button', { name: 'Show as chart: AUC by round' }).click();
    });

    test('shows a partner’s refusal of one round more in the words of its own node', async () => {
      space.gate.openUpTo(plannedRounds + 1);
      await page.getByRole('button', { name: 'One more round' }).click();
      const refusal = page
        .locator('.budget')
        .filter({ hasText: `${strict}.example` })
        .locator('.refusal');
      await refusal.waitFor();
      expect(await refusal.textContent()).toMatch(new RegExp(`^Refused round ${plannedRounds + 1}: .*budget`));
      await shown('.message', `${strict}.example refused round ${plannedRounds + 1}`).waitFor();
    });

    test.each([
      ['light', 1440, 1000],
      ['dark', 1440, 1000],
      ['phone', 390, 844],
    ] as const)('is readable: %s', async (look, width, height) => {
      await page.emulateMedia({ colorScheme: look === 'dark' ? 'dark' : 'light', reducedMotion: 'reduce' });
      await page.setViewportSize({ width, height });
      expect(await page.evaluate(inPage.structureProblems)).toEqual([]);
      const contrast = await page.evaluate(inPage.contrastProblems);
      expect(contrast.checked).toBeGreaterThan(40);
      expect(contrast.low).toEqual([]);
      expect(await page.evaluate(inPage.overflow)).toBe(0);
      await screenshot(look);
    });

    test('keeps the theme that the operator chose', async () => {
      await page.emulateMedia({ colorScheme: 'light' });
      const background = () => page.evaluate(inPage.background);
      const light = await background();
      await page.getByRole('button', { name: 'Dark theme' }).click();
      const dark = await background();
      expect(dark).not.toBe(light);
      await page.reload();
      await shown('h1', title).waitFor();
      expect(await background()).toBe(dark);
    });

    test('has complained of nothing and asked nobody else for anything', () => {
      expect(complaints).toEqual([]);
      expect(strangers).toEqual([]);
    });

    test('says that the connection is lost, and goes on when the coordinator is back', async () => {
      await space.stopCoordinator();
      await page.getByText('Connection lost, retrying.').first().waitFor();
      await space.startCoordinator();
      await shown('.connection', 'Live').waitFor();
      expect(await page.locator('.banner').isVisible()).toBe(false);
    });

    test('asks for the token without a login, and says when it is wrong', async () => {
      await context.clearCookies();
      await page.reload();
      await page.getByLabel('Operator’s token').fill('not the token');
      await page.keyboard.press('Enter');
      await shown('[role=alert]', 'The coordinator does not know this token.').waitFor();
      await page.getByLabel('Operator’s token').fill(space.token);
      await page.keyboard.press('Enter');
      await shown('h1', title).waitFor();
    });
  },
);
