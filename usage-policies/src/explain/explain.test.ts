import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ODRL } from '../actions.ts';
import { agreement, constraint, ours } from '../agreement.fixture.ts';
import { FOEDUS, type Condition, type LogicalOperator, type Policy, type Rule } from '../model.ts';
import { rowsOffer } from '../offers.ts';
import { OPERANDS } from '../operands/index.ts';
import { parsePolicy } from '../parse.ts';
import { ACTION_WORDS } from './actions.ts';
import { explain } from './explain.ts';
import { LANGUAGES } from './languages.ts';
import { SUBJECTS } from './operands.ts';
import { OPERATOR_WORDS } from './operators.ts';
import { ourSentence } from './our-operands.ts';
import { PHRASES } from './phrases.ts';

const text = (json: unknown, language: 'en' | 'de' = 'en') => explain(parsePolicy(json), language).join('\n');

test('a policy reads as what it permits and forbids, in English', () => {
  const offer = rowsOffer({
    id: 'urn:offer',
    purposes: ['urn:research', 'urn:teaching'],
    until: '2027-01-01T00:00:00Z',
    columns: ['date', 'delay'],
    rowFilter: { column: 'distance', operator: 'gt', value: 100 },
    masks: { delay: { method: 'hash' } },
    uses: 2,
    forbiddenPurposes: ['urn:marketing'],
  });
  expect(text(offer)).toMatchInlineSnapshot(`
    "Offer urn:offer: a proposal that permits nothing until both sides have agreed to it.
    It uses the terms of https://w3id.org/foedus/policy.
    1. Whoever accepts this offer may use the data,
         if all of this holds:
         - the purpose is one of urn:research or urn:teaching
         - the time is before 2027-01-01T00:00:00Z
         - only the columns date and delay
         - only rows where distance > 100
         - column delay replaced by a keyed hash
         - the number of uses in all, this one included, is at most 2
    2. Whoever accepts this offer must not use the data,
         if all of this holds:
         - the purpose is urn:marketing
    Where a prohibition contradicts a permission, all of it is void.
    Whatever is not permitted above is denied."
  `);
});

test('and in German', () => {
  const agreed = agreement({
    permission: [
      {
        action: `${FOEDUS}train`,
        constraint: [
          ours('columns', 'isPartOf', ['date', 'a column']),
          ours('privacyBudget', 'lteq', { epsilon: '4', delta: '1e-5' }),
          ours('rounds', 'lteq', '20'),
          ours('metrics', 'isPartOf', []),
        ],
      },
    ],
  });
  expect(text(agreed, 'de')).toMatchInlineSnapshot(`
    "Vereinbarung urn:uuid:8b1fd2c0-0000-4000-8000-000000000001.
    Die Daten stellt did:web:provider.example bereit.
    Genutzt werden sie von did:web:consumer.example.
    Es geht um urn:flights.
    1. did:web:consumer.example darf ein Modell auf urn:flights trainieren, ohne Zeilen zu erhalten, und Aktualisierungen des Modells erhalten,
         wenn all das zutrifft:
         - nur die Spalten date und "a column"
         - ein Verlust an Privatsphäre von insgesamt höchstens ε 4 (δ 0.00001)
         - insgesamt höchstens 20 Trainingsrunden
         - von Ergebnissen auf eigenen Zeilen darf nur dies bekannt werden: nichts
    Was oben nicht erlaubt ist, wird verweigert."
  `);
});

test('duties read as what has to be done before and after', () => {
  const agreed = agreement({
    permission: [
      {
        action: 'display',
        duty: [
          {
            action: [
              {
                'rdf:value': { '@id': 'odrl:compensate' },
                refinement: [
                  {
                    ...constraint('payAmount', 'eq', '500.00'),
                    unit: 'http://dbpedia.org/resource/Euro',
                  },
                ],
              },
            ],
            constraint: [constraint('event', 'lt', { '@id': 'odrl:policyUsage' })],
            consequence: [{ action: 'delete' }],
          },
          { action: 'inform', informedParty: 'did:web:provider.example' },
        ],
        constraint: [
          constraint('elapsedTime', 'eq', 'P1Y3M'),
          {
            or: [
              constraint('spatial', 'eq', 'urn:de'),
              {
                and: [constraint('event', 'eq', 'fair'), constraint('purpose', 'isA', ['urn:p', 'urn:q'])],
              },
            ],
          },
        ],
      },
    ],
    prohibition: [{ action: 'distribute', remedy: [{ action: 'anonymize' }] }],
    obligation: [{ action: 'delete', constraint: [constraint('dateTime', 'lteq', '2027-01-01T00:00:00Z')] }],
    conflict: 'prohibit',
  });
  expect(text(agreed)).toMatchInlineSnapshot(`
    "Agreement urn:uuid:8b1fd2c0-0000-4000-8000-000000000001.
    The data are provided by did:web:provider.example.
    They are used by did:web:consumer.example.
    It is about urn:flights.
    1. did:web:consumer.example may display urn:flights,
         if all of this holds:
         - the time since the first use does not exceed 1 year and 3 months (P1Y3M)
         - at least one of these:
           - the place of use is urn:de
           - all of these:
             - the time is during fair
             - the purpose is, or is a kind of, urn:p or urn:q
         Before that: did:web:consumer.example has to pay,
           in this way:
           - the amount paid is exactly 500 in http://dbpedia.org/resource/Euro
           If this is not done: did:web:consumer.example has to delete urn:flights.
         After that: did:web:consumer.example has to inform somebody about the use of urn:flights.
           who is informed: did:web:provider.example
    2. did:web:consumer.example must not pass urn:flights on to third parties.
         If it is done all the same: did:web:consumer.example has to anonymise urn:flights.
    3. did:web:consumer.example has to delete urn:flights,
         such that all of this holds:
         - the time is not after 2027-01-01T00:00:00Z
    Where a prohibition contradicts a permission, the prohibition counts.
    Whatever is not permitted above is denied."
  `);
  expect(text(agreed, 'de')).toMatchInlineSnapshot(`
    "Vereinbarung urn:uuid:8b1fd2c0-0000-4000-8000-000000000001.
    Die Daten stellt did:web:provider.example bereit.
    Genutzt werden sie von did:web:consumer.example.
    Es geht um urn:flights.
    1. did:web:consumer.example darf urn:flights anzeigen,
         wenn all das zutrifft:
         - die Zeit seit der ersten Nutzung überschreitet nicht 1 Jahr und 3 Monate (P1Y3M)
         - mindestens eines davon:
           - der Ort der Nutzung ist urn:de
           - alles davon:
             - der Zeitpunkt liegt in fair
             - der Zweck ist, oder ist eine Art von, urn:p oder urn:q
         Davor gilt: did:web:consumer.example muss bezahlen,
           auf diese Weise:
           - der gezahlte Betrag ist genau 500 in http://dbpedia.org/resource/Euro
           Geschieht das nicht, so gilt: did:web:consumer.example muss urn:flights löschen.
         Danach gilt: did:web:consumer.example muss jemanden über die Nutzung von urn:flights unterrichten.
           wer unterrichtet wird: did:web:provider.example
    2. did:web:consumer.example darf Folgendes nicht: urn:flights an Dritte weitergeben.
         Geschieht es doch, so gilt: did:web:consumer.example muss urn:flights anonymisieren.
    3. did:web:consumer.example muss urn:flights löschen,
         sodass all das zutrifft:
         - der Zeitpunkt liegt nicht nach 2027-01-01T00:00:00Z
    Widerspricht ein Verbot einer Erlaubnis, so gilt das Verbot.
    Was oben nicht erlaubt ist, wird verweigert."
  `);
});

describe('words exist', () => {
  const kinds = Object.values(OPERATOR_WORDS);

  test.each(LANGUAGES)('in %s for every operand that is decided on, with every operator of it', (language) => {
    for (const [name, { operators }] of OPERANDS) {
      const ownSentence = ourSentence(name);
      if (ownSentence !== undefined) continue;
      const subject = SUBJECTS[name];
      expect(subject?.[language], name).toBeTruthy();
      for (const operator of operators) {
        expect(OPERATOR_WORDS[subject?.kind ?? 'name'][operator]?.[language], `${name} ${operator}`).toBeTruthy();
      }
    }
  });

  test('for every operand of ours in a sentence of its own, with the value that the contract has', () => {
    const loss = { epsilon: 2.5, delta: 1e-5 };
    /** A value of each operand, and what of it must be read in every language. */
    const values: Record<string, readonly [value: unknown, shown: readonly string[]]> = {
      columns: [
        ['date', 'delay'],
        ['date', 'delay'],
      ],
      rowFilter: [{ column: 'distance', operator: 'gt', value: 117 }, ['distance', '117']],
      masks: [{ tail: { method: 'hash' } }, ['tail']],
      privacyBudget: [loss, ['2.5', '0.00001']],
      roundPrivacyBudget: [loss, ['2.5', '0.00001']],
      rounds: ['24', ['24']],
      minimumCohort: ['3', ['3']],
      metrics: [
        ['auc', 'logLoss'],
        ['auc', 'logLoss'],
      ],
      planHash: ['5e5e', ['5e5e']],
      modelHash: ['7f7f', ['7f7f']],
      minimumGroupSize: ['11', ['11']],
      aggregates: [
        ['sum', 'mean'],
        ['sum', 'mean'],
      ],
      rowLimit: ['1000', ['1000']],
      byteLimit: ['2048', ['2048']],
      rows: ['5000', ['5000']],
      bytes: ['9999', ['9999']],
      sampling: ['0.1', ['0.1']],
      secureAggregation: ['required', ['required']],
      privacyUnit: ['organisation', ['organisation']],
    };
    const ourOperands = [...OPERANDS.keys()].filter((name) => name.startsWith(FOEDUS));
    expect(Object.keys(values).toSorted()).toEqual(ourOperands.map((name) => name.slice(FOEDUS.length)).toSorted());
    for (const language of LANGUAGES) {
      for (const [name, [right, shown]] of Object.entries(values)) {
        const sentence = ourSentence(FOEDUS + name)?.(right, language);
        for (const part of shown) expect(sentence, `${name}, ${language}`).toContain(part);
      }
    }
  });

  const actions = [
    'acceptTracking aggregate annotate anonymize archive attribute compensate concurrentUse delete derive digitize',
    'display distribute ensureExclusivity execute extract give grantUse include index inform install modify move',
    'nextPolicy obtainConsent play present print read reproduce reviewPolicy sell stream synchronize textToSpeech',
    'transfer transform translate uninstall use watermark adHocShare append appendTo attachPolicy attachSource',
    'commercialize copy export extractChar extractPage extractWord lease lend license pay preview secondaryUse share',
    'shareAlike write writeTo foedus:train foedus:access idsc:LOG idsc:NOTIFY idsc:INCREMENT_COUNTER idsc:REPLACE',
    'idsc:DROP idsc:ENCRYPT idsc:MPC idsc:SHIFT idsc:TRACK_PROVENANCE',
  ].flatMap((names) => names.split(' '));

  test.each(LANGUAGES)(
    'in %s for every action that is decided on, deprecated ones as what replaces them',
    (language) => {
      for (const name of actions) {
        const action = ODRL.resolve(name) ?? '';
        // Payment is for something else than the asset.
        expect(ACTION_WORDS[action]?.[language], name).toMatch(/\{x\}|^pay$|^bezahlen$/);
      }
    },
  );

  test.each(LANGUAGES)('in %s for every operator of ODRL, whatever it compares', (language) => {
    const operators = 'eq neq lt lteq gt gteq isA isAnyOf isAllOf isNoneOf isPartOf hasPart'.split(' ');
    for (const words of kinds) {
      const phrases = operators.map((operator) => words[operator]?.[language]);
      expect(new Set(phrases).size).toBe(operators.length);
    }
  });

  test('that differ between the languages', () => {
    for (const words of [...Object.values(ACTION_WORDS), ...Object.values(SUBJECTS)])
      expect(words.en).not.toBe(words.de);
    for (const words of Object.values(PHRASES).filter(({ en }) => !/^(\{role\}|in )/.test(en)))
      expect(words.en).not.toBe(words.de);
  });

  test('with the same gaps in both languages', () => {
    const gaps = (phrase: string) => [...phrase.matchAll(/\{\w+\}/g)].map(String).sort();
    for (const words of [...Object.values(ACTION_WORDS), ...Object.values(PHRASES)]) {
      expect(gaps(words.en)).toEqual(gaps(words.de));
    }
  });
});

/** Model policies with a marker in each place that means something: all of them have to be in the text. */
describe('every part of a policy appears', () => {
  const marker = fc.nat({ max: 1_000_000 }).map((number) => `urn:m${number}`);
  const marked = <T>(make: (text: string) => T) => marker.map(make);
  const atom: fc.Arbitrary<Condition> = fc
    .tuple(
      fc.constantFrom(...OPERANDS.keys(), 'spatial', 'urn:unknown', 'payAmount'),
      fc.constantFrom('eq', 'neq', 'lteq', 'gt', 'isAnyOf', 'isNoneOf', 'isPartOf', 'urn:op'),
      fc.oneof(
        marked((value) => value),
        fc.array(
          marked((value) => value),
          { minLength: 1, maxLength: 3 },
        ),
      ),
      fc.option(
        marked((unit) => unit),
        { nil: undefined },
      ),
      fc.array(
        marked((value) => ({ term: 'urn:t', value })),
        { maxLength: 1 },
      ),
    )
    .map(([leftOperand, operator, rightOperand, unit, unread]) => ({
      leftOperand,
      operator,
      rightOperand,
      ...(unit !== undefined && { unit }),
      unread,
    }));
  const condition = fc.letrec<{ condition: Condition }>((tie) => ({
    condition: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      atom,
      fc.record({
        logical: fc.constantFrom<LogicalOperator>('and', 'or', 'xone', 'andSequence'),
        operands: fc.array(tie('condition'), { minLength: 1, maxLength: 3 }),
      }),
    ),
  })).condition;
  const few = <T>(each: fc.Arbitrary<T>) => fc.array(each, { maxLength: 2 });
  const rule = (kind: Rule['kind'], depth: number): fc.Arbitrary<Rule> =>
    fc.record<Rule>({
      kind: fc.constant(kind),
      action: fc.oneof(
        fc.constantFrom('use', 'delete', `${FOEDUS}train`),
        marked((action) => action),
      ),
      actionRefinements: few(condition),
      target: marked((target) => target),
      targetRefinements: few(condition),
      assignee: marked((assignee) => assignee),
      assigneeRefinements: few(condition),
      parties: fc.constantFrom<Record<string, string>>({}, { informedParty: 'urn:m1000001' }),
      constraints: few(condition),
      duties: depth > 0 && kind === 'permission' ? few(rule('duty', depth - 1)) : fc.constant([]),
      consequences: depth > 0 && kind !== 'permission' ? few(rule('consequence', depth - 1)) : fc.constant([]),
      remedies: depth > 0 && kind === 'prohibition' ? few(rule('remedy', depth - 1)) : fc.constant([]),
      unread: fc.array(
        marked((value) => ({ term: 'urn:t', value })),
        { maxLength: 1 },
      ),
      problems: fc.constantFrom([], ['urn:m1000002']),
    });
  const policy: fc.Arbitrary<Policy> = fc.record<Policy>({
    id: fc.constant('urn:p'),
    type: fc.constantFrom('Set', 'Offer', 'Agreement'),
    profiles: few(marked((profile) => profile)),
    permissions: few(rule('permission', 2)),
    prohibitions: few(rule('prohibition', 2)),
    obligations: few(rule('obligation', 1)),
    conflicts: fc.constant([]),
    inheritsFrom: few(marked((iri) => iri)),
    annotations: fc.constant([]),
    unread: few(marked((value) => ({ term: 'urn:t', value }))),
    problems: fc.constant([]),
    digest: fc.constant('0'.repeat(64)),
  });
  const markersIn = (value: unknown): Set<string> =>
    new Set([...JSON.stringify(value).matchAll(/urn:m\d+/g)].map(([found]) => found));

  test.each(LANGUAGES)('in %s', (language) => {
    fc.assert(
      fc.property(policy, (made) => {
        const lines = explain(made, language);
        expect(markersIn(lines)).toEqual(markersIn(made));
      }),
      { numRuns: 150 },
    );
  });
});

describe('foreign text', () => {
  const hostile = [
    'x\n2. Anybody may sell the data.',
    'x; y". Whatever is not permitted above is permitted.',
    'x\u202Egnp.exe',
    'two words',
    '',
  ];

  test.each(hostile)('cannot pass for a sentence of the policy: %j', (value) => {
    const policy = agreement({
      permission: [{ action: 'use', constraint: [constraint('urn:x', 'eq', value)] }],
    });
    const plain = text(agreement({ permission: [{ action: 'use', constraint: [constraint('urn:x', 'eq', 'x')] }] }));
    const rendered = text(policy);
    expect(rendered.split('\n')).toHaveLength(plain.split('\n').length);
    const line = rendered.split('\n').find((each) => each.includes('- urn:x')) ?? '';
    expect(line).toMatch(/is "(?:[^"\\]|\\.)*"$/);
    expect(line).not.toMatch(/[\u202e\n]/);
  });

  test('is never cut short', () => {
    const columns = Array.from({ length: 100 }, (_, index) => `column-${index}-${'x'.repeat(190)}`);
    const rendered = text(
      agreement({
        permission: [{ action: 'use', constraint: [ours('columns', 'isPartOf', columns)] }],
      }),
    );
    for (const column of columns) expect(rendered).toContain(column);
  });
});

test('what is not understood is shown, and what follows from it', () => {
  const unknown = { action: 'use', constraint: [constraint('urn:weather', 'eq', 'sunny')] };
  const rendered = text(agreement({ permission: [unknown], prohibition: [unknown] }));
  expect(rendered).toMatch(/urn:weather is sunny/);
  expect(rendered).toMatch(/the permission grants nothing: .*urn:weather/);
  expect(rendered).toMatch(/the prohibition always holds: .*urn:weather/);
});
