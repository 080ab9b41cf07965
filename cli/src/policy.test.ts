import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { unenforced } from './enforcement-words.ts';
import { main } from './main.ts';

const CONSUMER = 'did:web:pvd.example';
const RESEARCH = 'https://w3id.org/dpv#ResearchAndDevelopment';
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foedus-policy-'));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
const file = async (content: unknown): Promise<string> => {
  files += 1;
  const path = join(folder, `${files}.json`);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const foedus = async (...args: string[]): Promise<{ code: number; out: string; err: string }> => {
  const text = { out: '', err: '' };
  const take = (name: 'out' | 'err') => (chunk: string | Uint8Array) => {
    text[name] += String(chunk);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(take('out')),
    vi.spyOn(process.stderr, 'write').mockImplementation(take('err')),
  ];
  try {
    process.exitCode = 0;
    await main(['policy', ...args]);
    return { code: process.exitCode, ...text };
  } finally {
    process.exitCode = 0;
    for (const spy of spies) spy.mockRestore();
  }
};

const offer = {
  '@id': 'urn:offer',
  '@type': 'Offer',
  permission: [
    {
      action: 'use',
      constraint: [
        { leftOperand: 'purpose', operator: 'isA', rightOperand: RESEARCH },
        { leftOperand: 'count', operator: 'lteq', rightOperand: '2' },
      ],
      duty: [{ action: 'delete' }],
    },
  ],
};
const request = { assignee: CONSUMER, at: '2026-06-01T00:00:00Z', purpose: RESEARCH };
const use = { action: 'use', by: CONSUMER, at: '2026-05-01T00:00:00Z' };

describe('foedus policy explain', () => {
  it('prints the policy in the language that was asked for', async () => {
    const path = await file(offer);
    expect((await foedus('explain', path)).out).toContain('1. Whoever accepts this offer may use the data,\n');
    expect((await foedus('explain', path, '--lang', 'de')).out).toContain(
      '1. Wer dieses Angebot annimmt, darf die Daten nutzen,\n',
    );
    expect(JSON.parse((await foedus('explain', path, '--json')).out)).toContain(
      'Whatever is not permitted above is denied.',
    );
  });

  it('prints nothing of others that would move the cursor', async () => {
    const hostile = {
      ...offer,
      permission: {
        action: 'use',
        constraint: { leftOperand: 'urn:\u001b[2J', operator: 'eq', rightOperand: 'x\r\ny' },
      },
    };
    const { out } = await foedus('explain', await file(hostile));
    // oxlint-disable-next-line no-control-regex
    expect(out).not.toMatch(/[\u001b\r]/);
  });
});

describe('foedus policy check', () => {
  it('prints aligned who can enforce what', async () => {
    const { code, out } = await foedus('check', await file(offer));
    expect(code).toBe(0);
    expect(out).toContain("1     provider's node  Whoever accepts this offer may use the data\n");
    expect(out).toContain('      evidence only      the purpose is');
    expect(out).toMatch(/In all: evidence only\n$/);
  });

  it('fails for a policy that no node would accept, and says why', async () => {
    const { code, out, err } = await foedus('check', await file({ ...offer, profile: 'urn:unknown' }));
    expect([code, err]).toEqual([1, expect.stringContaining('The profile urn:unknown is not known to this node.')]);
    expect(out).toContain('NOT UNDERSTOOD');
  });

  it('names rules that contradict each other', async () => {
    const { out } = await foedus('check', await file({ ...offer, prohibition: [{ action: 'use' }] }));
    expect(out).toContain('Rule 2 always forbids what rule 1 permits.');
  });
});

describe('foedus policy simulate', () => {
  it('prints what would be decided after a history', async () => {
    const { code, out } = await foedus(
      'simulate',
      await file(offer),
      '--request',
      await file(request),
      '--history',
      await file([use]),
    );
    expect(code).toBe(0);
    expect(out).toContain(`This is what the agreement with ${CONSUMER} would decide:\nPERMIT\n`);
    expect(out).toContain('With this, 2 of 2 uses are spent.');
    expect(out).toMatch(/duty +delete +after use +not-set/);
    expect(out).toMatch(/uses +1 +2\n$/);
  });

  it('denies what the history has used up, and other purposes', async () => {
    const policy = await file(offer);
    const spent = await file({ history: [use, use] });
    const again = await foedus('simulate', policy, '-r', await file(request), '--history', spent);
    expect(again.out).toMatch(/DENY\n {2}The agreed number of uses is spent: 2 of 2 are charged\./);
    const other = await foedus('simulate', policy, '-r', await file({ ...request, purpose: 'urn:sale' }), '--json');
    expect(JSON.parse(other.out)).toMatchObject({ permit: false });
  });

  it.each([
    ['no assignee', { purpose: RESEARCH }, /assignee/],
    ['an unknown property', { ...request, colums: ['a'] }, /colums/],
    ['a time without a zone', { ...request, at: '2026-06-01T00:00:00' }, /at/],
    ['no JSON', '{', /is no JSON/],
  ])('refuses a request with %s', async (_, wrong, why) => {
    const { code, err } = await foedus('simulate', await file(offer), '-r', await file(wrong));
    expect(code).toBe(1);
    expect(err).toMatch(why);
  });
});

describe('foedus policy compare', () => {
  it('says by rule what the second asks for', async () => {
    const [permission] = offer.permission;
    const more = { ...offer, permission: [{ ...permission, constraint: permission?.constraint.slice(0, 1) }] };
    const { out } = await foedus('compare', await file(offer), await file(more));
    expect(out).toMatch(/permission +use +1 +1 +more\nB asks for more than A\.\n$/);
  });
});

describe('what no node enforces', () => {
  it('is told part by part, for whoever publishes or accepts it', () => {
    expect(unenforced(offer)).toEqual([
      expect.stringMatching(/^evidence only: the purpose is/),
      expect.stringMatching(/^evidence only: After that: .* has to delete/),
    ]);
    const inGermany = { leftOperand: 'spatial', operator: 'eq', rightOperand: 'urn:de' };
    expect(unenforced({ permission: { action: 'use', constraint: inGermany } })).toEqual([
      'NOT UNDERSTOOD, so it permits nothing: the place of use is urn:de',
    ]);
    expect(unenforced({ permission: { action: 'use' } })).toEqual([]);
    expect(unenforced({ permission: [{}] })).toEqual([expect.stringContaining('$.permission[0]')]);
  });
});

describe('every command', () => {
  it.each(['explain', 'check'])('%s refuses what is no policy with its place', async (command) => {
    const broken = await foedus(command, await file('{\n  "permission": [,]\n}'));
    expect([broken.code, broken.err]).toEqual([1, expect.stringContaining('line 2, column 18 is not JSON')]);
    const wrong = await foedus(command, await file({ permission: [{}] }));
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('$.permission[0]: a rule names an action')]);
    const missing = await foedus(command, join(folder, 'missing.json'));
    expect([missing.code, missing.err]).toEqual([1, expect.stringContaining('Does the file exist?')]);
  });
});
