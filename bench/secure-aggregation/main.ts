/**
 * What secure aggregation costs a member (CPU and bytes) and the coordinator (CPU and memory, with members dropped),
 * beside the AES key stream alone that the same masks take, measured in the same run. Some minutes; with --large also the
 * coordinator of 1,000 members with 10⁶ parameters, which takes as long again.
 */
import { parseArgs } from 'node:util';
import { measureCoordinator } from './coordinator.ts';
import { printTable, progress } from './measure.ts';
import { measureMember } from './member.ts';

const { values } = parseArgs({
  options: {
    members: { type: 'string', default: '100,1000' },
    parameters: { type: 'string', default: '100000,1000000' },
    degree: { type: 'string', default: '32' },
    repeats: { type: 'string', default: '15' },
    /** Members of the coordinator's part, and its parameters. */
    server: { type: 'string', default: '100x100000,100x1000000,1000x100000' },
    /** In percent of the members. */
    dropped: { type: 'string', default: '0,10,30' },
    large: { type: 'boolean', default: false },
  },
});
const list = (text: string): string[] => text.split(',').filter((part) => part !== '');
const whole = (value: number): string => Math.round(value).toLocaleString('en');
const ms = (value: number): string => (value < 10 ? value.toFixed(1) : whole(value));

const memberLines: string[][] = [];
for (const length of list(values.parameters).map(Number)) {
  for (const members of list(values.members).map(Number)) {
    progress(`member: n = ${members}, P = ${length}`);
    const one = await measureMember(members, length, Number(values.degree), Number(values.repeats));
    const hasAim = length === 1_000_000 && one.degree === 32;
    memberLines.push([
      whole(length),
      whole(members),
      String(one.degree),
      String(one.bits),
      ms(one.ms.encode),
      ms(one.ms.shares),
      ms(one.ms.mask),
      ms(one.ms.total),
      hasAim ? '< 100' : '',
      ms(one.ms.aes),
      `${(one.ms.mask / one.ms.aes).toFixed(2)} ×`,
      whole(one.bytes.up / 1e3),
      `${(one.bytes.up / one.bytes.packed).toFixed(3)} ×`,
      '≤ 1.1 ×',
      whole(one.bytes.down / 1e3),
    ]);
  }
}
if (memberLines.length > 0) {
  printTable(
    `A member: ms of CPU, medians of ${values.repeats}; kB sent and received. AES is the key stream alone.`,
    [
      'P',
      'n',
      'k',
      'bits',
      'encode',
      'shares',
      'mask',
      'all',
      'aim',
      'AES',
      'mask/AES',
      'up',
      'up/packed',
      'aim',
      'down',
    ],
    memberLines,
  );
}

const coordinatorLines: string[][] = [];
for (const size of [...list(values.server), ...(values.large ? ['1000x1000000'] : [])]) {
  const [members = 100, length = 100_000] = size.split('x').map(Number);
  for (const percent of list(values.dropped).map(Number)) {
    const one = await measureCoordinator(members, length, percent / 100);
    const all = one.ms.messages + one.ms.unmasking;
    const hasAim = members === 1_000 && length === 100_000 && percent === 10;
    coordinatorLines.push([
      whole(length),
      whole(members),
      `${percent} %`,
      String(one.degree),
      whole(one.masks),
      ms(one.ms.messages),
      ms(one.ms.unmasking),
      ms(all),
      hasAim ? '< 2,000' : '',
      ms(one.ms.aes),
      `${(all / one.ms.aes).toFixed(2)} ×`,
      (all / one.masks / (length / 1e5)).toFixed(3),
      whole(one.residentBytes / 2 ** 20),
    ]);
  }
}
if (coordinatorLines.length > 0) {
  printTable(
    'The coordinator: ms of CPU. k is the fewest neighbours that lose a round to drop-outs once in a million\n' +
      '(chooseDegree, 2 % colluding), so the masks to take off grow faster than the drop-outs. MiB: the whole process.',
    ['P', 'n', 'dropped', 'k', 'masks', 'messages', 'unmask', 'all', 'aim', 'AES', 'all/AES', 'each, of 10⁵', 'MiB'],
    coordinatorLines,
  );
}
