import type { Dice } from './dice.ts';

/** What is done to a message before it is sent: changes of its structure first, then of its text. */

type Holder = Record<string | number, unknown>;
interface Place {
  readonly holder: Holder;
  readonly key: string | number;
}

const EXPANDED = ['https://w3id.org/dspace/2025/1/', 'http://www.w3.org/ns/odrl/2/', 'http://purl.org/dc/terms/'];
const NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'then',
  'toJSON',
  'length',
  '',
  ' ',
  '@id',
  '@type',
  '@context',
  '@value',
  '@list',
  '@graph',
  '@reverse',
  'permission',
  'target',
  'rightOperand',
];
const TYPES = [
  'CatalogRequestMessage',
  'ContractRequestMessage',
  'ContractOfferMessage',
  'ContractAgreementMessage',
  'ContractAgreementVerificationMessage',
  'ContractNegotiationEventMessage',
  'ContractNegotiationTerminationMessage',
  'TransferRequestMessage',
  'TransferStartMessage',
  'TransferSuspensionMessage',
  'TransferCompletionMessage',
  'TransferTerminationMessage',
  'ContractNegotiation',
  'Catalog',
  'dspace:TransferStartMessage',
  '',
  'toString',
];
/** None of them leads to another machine than this one. */
const ADDRESSES = [
  'http://localhost:1/',
  'https://localhost:1/callback',
  'https://user:secret@localhost:1/',
  'https://localhost:1/?q=1',
  'https://localhost:1/#f',
  'ftp://localhost/',
  'javascript:alert(1)',
  'file:///etc/passwd',
  '//localhost',
  'https://',
  'https://localhost:99999/',
  'https://[::1]:1/',
  'https://127.0.0.1:1/../..',
  'urn:callback',
  '\u0000',
  'https://localhost:1/ a',
];
const TEXTS = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  '\ud800',
  '\udfff\ud800',
  '\ufeff',
  '\u202e',
  '😀'.repeat(50),
  "' OR 1=1 --",
  '";DROP TABLE negotiation;--',
  '../../../etc/passwd',
  '%2e%2e%2f',
  '${7*7}',
  '{{7*7}}',
  '<script>',
  'null',
  'undefined',
  'NaN',
  '-0',
  '1e999',
  'true',
  'REQUESTED',
  'FINALIZED',
  'ACCEPTED',
  'urn:uuid:00000000-0000-0000-0000-000000000000',
  'x'.repeat(2_048),
  'x'.repeat(2_049),
];
const SCALARS: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1.5,
  1e308,
  -1e308,
  Number.MAX_SAFE_INTEGER,
  2 ** 63,
];

function nested(depth: number, list: boolean): unknown {
  let value: unknown = 'x';
  for (let level = 0; level < depth; level += 1) value = list ? [value] : { a: value };
  return value;
}

/** Something that nobody would put there. */
export function oddValue(dice: Dice): unknown {
  switch (dice.roll(12)) {
    case 0:
    case 1:
    case 2:
      return dice.pick(SCALARS);
    case 3:
    case 4:
    case 5:
      return dice.pick(TEXTS);
    case 6:
      return nested(1 + dice.roll(40), dice.chance(0.5));
    case 7:
      return dice.pick<unknown>([
        [],
        {},
        [[]],
        [{}],
        [null],
        { '': '' },
        { '@value': 1 },
        { '@id': [] },
        { '@list': [] },
      ]);
    case 8:
      return { [dice.pick(NAMES)]: dice.pick<unknown>([...SCALARS, ...TEXTS]) };
    case 9:
      return Array.from({ length: dice.roll(dice.chance(0.1) ? 2_000 : 10) }, () => dice.pick(SCALARS));
    case 10:
      return 'y'.repeat(dice.roll(dice.chance(0.1) ? 100_000 : 3_000));
    default:
      return dice.pick(ADDRESSES);
  }
}

/** Every place in a document that holds a value; `rightOperand` and the like as well. */
function placesOf(value: unknown, places: Place[] = []): Place[] {
  if (typeof value !== 'object' || value === null || places.length > 2_000) return places;
  const holder = value as Holder;
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    places.push({ holder, key });
    placesOf(holder[key], places);
  }
  return places;
}

/** `__proto__` as a member of its own, as JSON.parse makes it. */
function put(holder: Holder, key: string | number, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

type Mutation = (document: Holder, places: readonly Place[], dice: Dice) => void;

const mutations: readonly Mutation[] = [
  // A member or item goes.
  (_document, places, dice) => {
    const { holder, key } = dice.pick(places);
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
  },
  // A value becomes another one.
  (_document, places, dice) => {
    const { holder, key } = dice.pick(places);
    put(holder, key, oddValue(dice));
  },
  // A value is wrapped.
  (_document, places, dice) => {
    const { holder, key } = dice.pick(places);
    const value = holder[key];
    put(
      holder,
      key,
      dice.pick<unknown>([
        [value],
        [value, value],
        { '@value': value },
        { '@id': value },
        { '@list': [value] },
        { value },
      ]),
    );
  },
  // A name changes its spelling.
  (_document, places, dice) => {
    const { holder, key } = dice.pick(places);
    if (Array.isArray(holder)) return;
    const name = dice.pick([
      `dspace:${key}`,
      `odrl:${key}`,
      dice.pick(EXPANDED) + key,
      String(key).toUpperCase(),
      `${key} `,
      dice.pick(NAMES),
    ]);
    const value = holder[key];
    delete holder[key];
    put(holder, name, value);
  },
  // Two values change places.
  (_document, places, dice) => {
    const [a, b] = [dice.pick(places), dice.pick(places)];
    const [first, second] = [a.holder[a.key], b.holder[b.key]];
    if (typeof first === 'object' || typeof second === 'object') return;
    put(a.holder, a.key, second);
    put(b.holder, b.key, first);
  },
  // Something nobody asked for comes in.
  (document, places, dice) => {
    const { holder } = dice.chance(0.5) || places.length === 0 ? { holder: document } : dice.pick(places);
    if (Array.isArray(holder)) holder.push(oddValue(dice));
    else put(holder, dice.pick(NAMES), oddValue(dice));
  },
  // Another type.
  (document, _places, dice) => put(document, '@type', dice.pick(TYPES)),
  // Another context.
  (document, _places, dice) => {
    const ours = 'https://w3id.org/dspace/2025/1/context.jsonld';
    const redefined = { permission: 'odrl:prohibition', '@vocab': 'urn:x' };
    const contexts: unknown[] = [
      ours,
      [ours, redefined],
      [redefined, ours],
      redefined,
      [],
      [[ours]],
      'urn:x',
      [ours, 'https://w3id.org/edc/v0.0.1/ns/'],
      null,
    ];
    put(document, '@context', dice.pick(contexts));
  },
  // An address that must not be called.
  (document, _places, dice) => put(document, 'callbackAddress', dice.pick(ADDRESSES)),
  // A right operand that is a number, as many write it.
  (_document, places, dice) => {
    const operands = places.filter(({ key }) => key === 'rightOperand' || key === 'leftOperand' || key === 'operator');
    if (operands.length > 0) {
      const { holder, key } = dice.pick(operands);
      put(holder, key, oddValue(dice));
    }
  },
  // An array with very many items.
  (document, places, dice) => {
    const { holder, key } = dice.pick(places);
    const value = holder[key];
    if (JSON.stringify(document).length > 20_000) return;
    const most = Math.min(dice.chance(0.1) ? 1_200 : 12, Math.floor(300_000 / (JSON.stringify(value) ?? '').length));
    put(
      holder,
      key,
      Array.from({ length: dice.roll(most + 1) }, () => value),
    );
  },
];

/** @returns a copy of `document` with one to four changes */
export function mutateJson(document: unknown, dice: Dice): unknown {
  const copy = structuredClone(document) as Holder;
  if (dice.chance(0.01)) return oddValue(dice);
  for (let left = 1 + dice.roll(4); left > 0; left -= 1) {
    const places = placesOf(copy);
    if (places.length === 0) break;
    dice.pick(mutations)(copy, places, dice);
  }
  return copy;
}

/** Writes it with some members twice: the second time with another value. */
function withDuplicates(value: unknown, dice: Dice): string {
  if (Array.isArray(value)) return `[${value.map((item) => withDuplicates(item, dice)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).flatMap(([key, inner]) => {
    const member = `${JSON.stringify(key)}:${withDuplicates(inner, dice)}`;
    return dice.chance(0.2) ? [`${JSON.stringify(key)}:${JSON.stringify(oddValue(dice)) ?? 'null'}`, member] : [member];
  });
  return `{${members.join(',')}}`;
}

const encode = (text: string): Buffer => Buffer.from(text, 'utf8');

/** What no JSON library writes. */
const spoilers: readonly ((bytes: Buffer, dice: Dice) => Buffer)[] = [
  (bytes, dice) => bytes.subarray(0, dice.roll(bytes.length + 1)),
  (bytes, dice) => {
    const changed = Buffer.from(bytes);
    for (let left = 1 + dice.roll(8); left > 0 && changed.length > 0; left -= 1)
      changed[dice.roll(changed.length)] = dice.roll(256);
    return changed;
  },
  (bytes, dice) => Buffer.concat([bytes, encode(dice.pick(['x', '{}', ']', '\u0000', ' '.repeat(10_000), ',']))]),
  (bytes, dice) =>
    Buffer.concat([
      Buffer.from(dice.pick(['efbbbf', 'fffe', 'feff', 'c0af', 'eda080', 'f5808080', '00']), 'hex'),
      bytes,
    ]),
  (bytes) => Buffer.from(bytes.toString('utf8'), 'utf16le'),
  (bytes, dice) =>
    encode(
      bytes
        .toString('utf8')
        .replace(
          /"[^"]{0,40}"/,
          dice.pick([
            'NaN',
            '1e999',
            '-1e999',
            '0x10',
            "'x'",
            'undefined',
            '/* */ "x"',
            '"\\ud800"',
            '"\\u0000"',
            '1' + '0'.repeat(400),
            '"\\x41"',
          ]),
        ),
    ),
  (_bytes, dice) => encode((dice.chance(0.5) ? '[' : '{"a":').repeat(33 + dice.roll(50_000))),
  (_bytes, dice) =>
    Buffer.alloc(1 + dice.roll(dice.chance(0.25) ? 3 << 20 : 10_000), dice.pick(['x', '[', ' ', '{"a":1}', '\u0000'])),
  () => Buffer.alloc(0),
];

/** The bytes of a document, now and then spoiled. */
export function writeBytes(document: unknown, dice: Dice): Buffer {
  const text = dice.chance(0.05) ? withDuplicates(document, dice) : (JSON.stringify(document) ?? 'null');
  const bytes = encode(text);
  return dice.chance(0.1) ? dice.pick(spoilers)(bytes, dice) : bytes;
}
