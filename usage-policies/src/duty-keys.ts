import type { Policy, Rule } from './model.ts';

/** The names of all duties and obligations of a policy. Those that say the same have the same name. */
export function dutyKeys(policy: Policy): ReadonlyMap<Rule, string> {
  const keys = new Map<Rule, string>();
  const byText = new Map<string, string>();
  const name = (rule: Rule, place: string): void => {
    const text = JSON.stringify(rule);
    // An IRI has a colon, a place has none: nobody can name a duty like another one's place.
    const key = rule.id?.includes(':') === true ? rule.id : (byText.get(text) ?? place);
    byText.set(text, key);
    keys.set(rule, key);
    rule.consequences.forEach((consequence, at) => name(consequence, `${place}-consequence-${at + 1}`));
  };
  policy.obligations.forEach((rule, at) => name(rule, `obligation-${at + 1}`));
  policy.permissions.forEach(({ duties }, at) =>
    duties.forEach((rule, nth) => name(rule, `permission-${at + 1}-duty-${nth + 1}`)),
  );
  policy.prohibitions.forEach(({ remedies }, at) =>
    remedies.forEach((rule, nth) => name(rule, `prohibition-${at + 1}-remedy-${nth + 1}`)),
  );
  return keys;
}
