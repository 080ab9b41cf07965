import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { mount } from './operation.ts';
import { policyReportOperations } from './policy-reports.ts';

const app = mount(policyReportOperations(), {
  access: { admit: () => 'read' } as never,
  logger: pino({ level: 'silent' }),
});
const post = async (path: string, body: unknown) => {
  const response = await app.request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
};

const policy = {
  '@type': 'Offer',
  permission: [{ action: 'use', constraint: [{ leftOperand: 'spatial', operator: 'eq', rightOperand: 'urn:de' }] }],
};

describe('POST /policies/enforceability', () => {
  test('reports on a policy that is stored nowhere, in the language that was asked for', async () => {
    const { status, body } = await post('/policies/enforceability', { policy, language: 'de' });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      enforcement: 'not-understood',
      policyDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
      rules: [
        {
          kind: 'permission',
          action: 'use',
          parts: [
            { part: 'action', enforcement: 'enforced-by-provider' },
            { part: 'constraint', text: 'der Ort der Nutzung ist urn:de', enforcement: 'not-understood' },
          ],
        },
      ],
    });
  });

  test('takes what the nodes can do from whoever asks', async () => {
    const consumer = { operands: ['spatial'] };
    const { body } = await post('/policies/enforceability', { policy, capabilities: { consumer } });
    expect(body['enforcement']).toBe('enforced-by-consumer');
  });
});

test('POST /policies/explanation says it in words', async () => {
  const { body } = await post('/policies/explanation', { policy });
  expect(body['lines']).toContain('     - the place of use is urn:de');
});

test.each(['/policies/enforceability', '/policies/explanation'])(
  '%s refuses what is no policy with its place',
  async (path) => {
    for (const [wrong, why] of [
      [{ policy: { permission: [{}] } }, /\$\.permission\[0\]: a rule names an action/],
      [{ policy, language: 'fr' }, /language/],
      [{ policy, more: 1 }, /more/],
      [{}, /policy/],
    ] as const) {
      const { status, body } = await post(path, wrong);
      expect([status, body['code']]).toEqual([400, 'bad-request']);
      expect(body['message']).toMatch(why);
    }
  },
);
