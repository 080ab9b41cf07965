import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { agreement, nothingSpent, permission, trainRequest, useRequest } from '../agreement.fixture.ts';
import { compile } from '../compile.ts';
import type { UsageRequest } from '../model.ts';
import { parsePolicy } from '../parse.ts';
import { TRAIN } from '../terms.ts';
import { decideWithLocalRules } from './local-rules.ts';
import { opaRules, type OpaOptions } from './opa.ts';

/** The real program: built by `npm run test:opa`, or any `opa` on the path. */
const opa = [
  process.env['FOEDUS_OPA'],
  join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'opa', 'opa'),
  'opa',
].find((program) => program !== undefined && spawnSync(program, ['version']).status === 0);

describe('the real Open Policy Agent', () => {
  if (opa === undefined) {
    test.skipIf(process.env['CI'] === undefined)('is there under CI: npm run setup:opa builds it with Go', () => {
      expect.fail('There is no Open Policy Agent. Run npm run setup:opa.');
    });
    return;
  }
  const compiled = compile(parsePolicy(agreement({ permission: [permission('use'), permission(TRAIN)] })));
  const judge = (options: OpaOptions, request: UsageRequest = useRequest()) => {
    const context = { agreementId: 'urn:a', dataSet: 'urn:flights' };
    return decideWithLocalRules(compiled, request, nothingSpent, [opaRules(options)], context);
  };
  let child: ChildProcess;
  let url: string;

  beforeAll(async () => {
    // OPA does not tell which port it got for 0: one that was free a moment ago.
    const probe = createServer().listen(0, '127.0.0.1');
    await once(probe, 'listening');
    const address = `127.0.0.1:${(probe.address() as AddressInfo).port}`;
    await new Promise((closed) => void probe.close(closed));
    url = `http://${address}`;
    child = spawn(opa, ['run', '--server', '--addr', address, '--skip-version-check'], { stdio: 'ignore' });
    await vi.waitFor(async () => expect((await fetch(`${url}/health`)).status).toBe(200), { timeout: 20_000 });
  }, 30_000);
  afterAll(async () => {
    child.kill();
    await once(child, 'exit');
  });

  const put = async (rego: string) => {
    const answer = await fetch(`${url}/v1/policies/foedus`, { method: 'PUT', body: rego });
    expect(answer.status, await answer.text()).toBe(200);
  };

  test('decides by its Rego, and a change of it changes the digest', async () => {
    await put(`package foedus.usage
      default allow := false
      allow if { input.action == "train"; input.training.cohort >= 5 }
      reasons contains "At least five take part." if { input.training.cohort < 5 }`);
    const options = { url, path: 'foedus/usage' };
    const few = await judge(options, trainRequest({ cohort: 4 }));
    expect(few.reasons).toEqual(['The local rules opa:foedus/usage refuse: At least five take part.']);
    const many = await judge(options, trainRequest({ cohort: 5 }));
    expect(many.permit).toBe(true);
    await put('package foedus.usage\nallow := true');
    const after = await judge(options, trainRequest({ cohort: 4 }));
    expect(after.permit).toBe(true);
    expect(new Set([few, many, after].map(({ localRules: [report] }) => report?.digest)).size).toBe(2);
  });

  test('denies where the document is undefined, or its rules conflict', async () => {
    expect((await judge({ url, path: 'foedus/nothing' })).permit).toBe(false);
    await put('package foedus.usage\nallow := true if { input.action == "use" }\nallow := false if { true }');
    const decision = await judge({ url, path: 'foedus/usage' });
    expect(decision.reasons[0]).toMatch(/status 500/);
  });
});
