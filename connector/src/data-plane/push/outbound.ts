import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { FoedusError } from '../../errors.ts';

/**
 * Where this node lets itself be sent to by others. An address in a data address may name anything: this machine, a
 * neighbour in the operator's network, the metadata service of a cloud. Only public addresses are called, and those
 * that the operator has allowed; what a name resolves to is checked at each connection, so that it cannot change
 * between the check and the call.
 */
export interface Outbound {
  /**
   * @param what the address is, for the error
   * @throws FoedusError `bad-request` for no https address, `not-permitted` for one that may not be called
   */
  url(text: string, what: string): URL;
  /** For `net.connect`: names are resolved to addresses that may be called, or to none. */
  readonly lookup: LookupFunction;
}

const GLOBAL = ipaddr.IPv6.parse('2000::');

/**
 * @param allowed networks in CIDR notation that may be called although they are not public
 * @throws FoedusError `bad-config`
 */
export function createOutbound(allowed: readonly string[]): Outbound {
  const networks = allowed.map((network) => {
    try {
      return ipaddr.parseCIDR(network);
    } catch (cause) {
      throw new FoedusError('bad-config', `transfer.push.allowAddresses: ${network} is no network like 10.0.0.0/8.`, {
        cause,
      });
    }
  });
  const mayBeCalled = (text: string): boolean => {
    if (!ipaddr.isValid(text)) return false;
    const address = ipaddr.parse(text);
    // A mapped IPv4 address is reached as what it stands for.
    const plain = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
    // Of IPv6, 2000::/3 alone is global (RFC 4291 section 2.4): ::127.0.0.1 counts as unicast as well.
    const isGlobal = plain instanceof ipaddr.IPv4 || plain.match(GLOBAL, 3);
    if (isGlobal && plain.range() === 'unicast') return true;
    return networks.some(([network, bits]) => network.kind() === plain.kind() && plain.match(network, bits));
  };
  const refused = (host: string): FoedusError =>
    new FoedusError(
      'not-permitted',
      `${host.slice(0, 253)} is no public address, and this node sends nothing elsewhere. Its operator may allow it (transfer.push.allowAddresses).`,
    );
  return {
    url(text, what) {
      const url = text.length <= 2_048 ? URL.parse(text) : null;
      if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
        throw new FoedusError('bad-request', `${what} must be an https address without a user name in it.`);
      }
      const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
      // Names are looked at when they are resolved.
      if (ipaddr.isValid(host) && !mayBeCalled(host)) throw refused(host);
      url.hash = '';
      return url;
    },
    lookup(hostname, options, callback) {
      dnsLookup(hostname, { ...options, all: true }, (error, found: LookupAddress[]) => {
        const good = error === null ? found.filter(({ address }) => mayBeCalled(address)) : [];
        const [first] = good;
        if (first === undefined) callback(error ?? refused(hostname), '');
        else if (options.all === true) callback(null, good);
        else callback(null, first.address, first.family);
      });
    },
  };
}
