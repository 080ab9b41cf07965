import { SignJWT } from 'jose';
import { describe, expect, test } from 'vitest';
import { revoked, revokedByLeaving } from '../../transfer/access.ts';
import { AGREEMENT, BDL, PVD, TRANSFER, TUL, usePullTransfer } from './pull-fixture.ts';

const world = usePullTransfer();

describe('a pull transfer', () => {
  test('refuses tokens that are missing, broken, forged, unsigned, expired or of another node', async () => {
    const claims = { transfer: TRANSFER, agreement: AGREEMENT, generation: 0 };
    const forged = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(BDL)
      .setAudience('https://bdl.example:7101/data')
      .setSubject(PVD)
      .setExpirationTime('1h')
      .sign(Buffer.alloc(32));
    const [, payload] = forged.split('.');
    const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
    for (const authorization of ['', 'Bearer', 'Bearer x', forged, unsigned]) {
      expect((await world.refusal({ authorization })).slice(0, 2)).toEqual([401, 'not-authenticated']);
    }
    expect((await world.refusal({ authorization: world.address.properties['refreshToken']! }))[0]).toBe(401);
    world.now = new Date('2026-06-01T12:59:59Z');
    expect((await world.ask()).status).toBe(200);
    world.now = new Date('2026-06-01T13:00:01Z');
    expect((await world.refusal({})).slice(0, 2)).toEqual([401, 'not-authenticated']);
  });

  const renew = async (form: Record<string, string>, who = PVD) => {
    const response = await world.clientOf(who).fetch(world.url('/token'), {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams(form).toString(),
    });
    expect(response.headers.get('cache-control')).toBe('no-store');
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  };
  const byRefreshToken = () => ({
    grant_type: 'refresh_token',
    refresh_token: world.address.properties['refreshToken']!,
  });

  test('gives a new token for the refresh token, also when the old one has expired', async () => {
    world.now = new Date('2026-06-01T15:00:00Z');
    expect((await world.ask()).status).toBe(401);
    const { status, body } = await renew(byRefreshToken());
    expect([status, body]).toEqual([
      200,
      { access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/), token_type: 'Bearer', expires_in: 3600 },
    ]);
    expect((await world.ask({ authorization: `Bearer ${body['access_token']}` })).status).toBe(200);
  });

  test('renews for nobody else, by no other token, and not while it is stopped', async () => {
    expect(await renew(byRefreshToken(), TUL)).toMatchObject({
      status: 403,
      body: { error: 'invalid_grant', code: 'not-permitted' },
    });
    const access = { grant_type: 'refresh_token', refresh_token: world.address.properties['authorization']! };
    expect(await renew(access)).toMatchObject({ status: 401, body: { error: 'invalid_grant' } });
    expect(await renew({ grant_type: 'password' })).toMatchObject({
      status: 400,
      body: { error: 'unsupported_grant_type' },
    });
    expect(await renew({ grant_type: 'refresh_token' })).toMatchObject({
      status: 400,
      body: { error: 'invalid_request' },
    });
    const long = { grant_type: 'refresh_token', refresh_token: 'x'.repeat(20_000) };
    expect(await renew(long)).toMatchObject({ status: 413, body: { error: 'invalid_request' } });
    world.transfer = { ...world.transfer, state: 'SUSPENDED' };
    expect(await renew(byRefreshToken())).toMatchObject({ status: 403, body: { error: 'invalid_grant' } });
  });

  test('refuses every token from before it was stopped or revoked, at once and for good', async () => {
    world.transfer = {
      ...revokedByLeaving({ ...world.transfer, state: 'SUSPENDED', suspendedBy: 'consumer' }),
      state: 'STARTED',
    };
    expect(await world.refusal({})).toEqual([401, 'not-authenticated', expect.stringContaining('revoked')]);
    // What the consumer has paused itself it goes on with by its refresh token.
    const { body } = await renew(byRefreshToken());
    expect((await world.ask({ authorization: body['access_token']! })).status).toBe(200);

    world.transfer = {
      ...revokedByLeaving({ ...world.transfer, state: 'SUSPENDED', suspendedBy: 'provider' }),
      state: 'STARTED',
    };
    for (const authorization of [world.address.properties['authorization']!, body['access_token']!]) {
      expect((await world.refusal({ authorization })).slice(0, 2)).toEqual([401, 'not-authenticated']);
    }
    expect(await renew(byRefreshToken())).toMatchObject({ status: 401, body: { error: 'invalid_grant' } });

    world.address = (await world.plane.flows[0]!.start(world.transfer))!;
    expect((await world.ask()).status).toBe(200);
    world.transfer = revoked(world.transfer);
    expect((await world.refusal({})).slice(0, 2)).toEqual([401, 'not-authenticated']);
    expect((await renew(byRefreshToken())).status).toBe(401);
  });
});
