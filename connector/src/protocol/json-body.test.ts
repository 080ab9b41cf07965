import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readJson } from './json-body.ts';

const limits = { maxBytes: 100, maxDepth: 4 };
const bodyOf = (...chunks: (string | Uint8Array | Error)[]) => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      const chunk = chunks.shift();
      if (chunk instanceof Error) controller.error(chunk);
      else if (chunk === undefined) controller.close();
      else controller.enqueue(typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk);
    },
    cancel: () => void (cancelled = true),
  });
  return { body, left: chunks, cancelled: () => cancelled };
};

describe('a body', () => {
  it('is the same however it is cut into chunks', async () => {
    const value = fc.jsonValue({ maxDepth: 2, stringUnit: 'binary' });
    await fc.assert(
      fc.asyncProperty(value, fc.array(fc.nat(50)), async (json, cuts) => {
        const bytes = new TextEncoder().encode(JSON.stringify(json));
        const chunks: Uint8Array[] = [];
        let at = 0;
        for (const cut of cuts) chunks.push(bytes.subarray(at, (at = Math.min(bytes.length, at + cut))));
        chunks.push(bytes.subarray(at));
        const read = await readJson(bodyOf(...chunks), { maxBytes: 1 << 20, maxDepth: 8 });
        expect(read).toEqual(JSON.parse(JSON.stringify(json)));
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['{"a":1,"a":2}', '$.a'],
    ['{"a":1,"\\u0061":1}', '$.a'],
    ['{"offer":[{},{"x y":{}, "x y" : []}]}', "$.offer[1]['x y']"],
    ['{"a":{"b":":,{"},"c":["b",{"b":1}],"__proto__":1,"__proto__":2}', '$.__proto__'],
  ])('with a name twice is refused, and the name is said: %s', async (text, path) => {
    await expect(readJson(bodyOf(text))).rejects.toMatchObject({
      code: 'bad-request',
      details: { reasons: [expect.stringMatching(`^${path.replace(/[$[\].]/g, '\\$&')}: is there twice`)] },
    });
  });

  it('with any names, each once in its object, is read', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 4 }), fc.integer({ min: 0, max: 2 }), async (json, indent) => {
        const text = JSON.stringify(json, undefined, indent);
        expect(await readJson(bodyOf(text), { maxBytes: 1 << 20, maxDepth: 32 })).toEqual(JSON.parse(text));
      }),
      { numRuns: 100 },
    );
  });

  it('may have as many bytes as the limit says, and is refused with one more', async () => {
    expect(await readJson(bodyOf(`"${'x'.repeat(98)}"`), limits)).toHaveLength(98);
    await expect(readJson(bodyOf(`"${'x'.repeat(99)}"`), limits)).rejects.toMatchObject({ code: 'too-large' });
  });

  it('is taken in when it is somewhat too large, and cut off when it does not end', async () => {
    const somewhat = bodyOf(...Array.from({ length: 3 }, () => 'x'.repeat(100)));
    await expect(readJson(somewhat, limits)).rejects.toMatchObject({ code: 'too-large' });
    expect({ left: somewhat.left.length, cancelled: somewhat.cancelled() }).toEqual({ left: 0, cancelled: false });
    const endless = bodyOf(...Array.from({ length: 1_000 }, () => 'x'.repeat(100)));
    await expect(readJson(endless, limits)).rejects.toMatchObject({ code: 'too-large' });
    expect(endless.cancelled()).toBe(true);
    expect(endless.left.length).toBeGreaterThan(900);
  });

  it('that breaks off is the sender’s fault when it sends, and an outage when it answers', async () => {
    const broken = () => bodyOf('{"a":', new Error('aborted'));
    await expect(readJson(broken(), limits)).rejects.toMatchObject({ code: 'bad-request' });
    await expect(readJson({ body: broken().body, status: 200 }, limits)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('of an answer over a real connection that is cut is an outage', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-length': '50' });
      response.write('{"a":1');
      setImmediate(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
      await expect(readJson(response, limits)).rejects.toMatchObject({ code: 'unavailable' });
    } finally {
      server.close();
    }
  });

  it.each([
    ['nothing', ''],
    ['no JSON', 'x'],
    ['half a surrogate in UTF-8', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22)],
    ['UTF-16', Uint8Array.of(0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00)],
    ['too deep', '[[[[[]]]]]'],
  ])('of %s is refused', async (_what, body) => {
    await expect(readJson(bodyOf(body), limits)).rejects.toMatchObject({ code: 'bad-request' });
  });

  it.each([
    ['{"a":[{"b c":"\\ud800x"}]}', /^\$\.a\[0\]\['b c'\]: /],
    ['{"a":{"\\udfff":1}}', /^\$\.a: /],
    ['"\\uDBFF"', /^\$: /],
  ])('of %s is refused with the path of the half surrogate', async (text, reason) => {
    await expect(readJson(bodyOf(text), limits)).rejects.toMatchObject({
      code: 'bad-request',
      details: { reasons: [expect.stringMatching(reason)] },
    });
    expect(await readJson(bodyOf('"\\ud83d\\ude00"'), limits)).toBe('😀');
  });
});
