import type { Migration } from '../database.ts';

/**
 * Who sees a contract definition's offers, beside its record, so that a page of the catalog is one query however many
 * data sets and definitions there are.
 */
export const catalog: Migration = {
  version: 4,
  name: 'catalog',
  sql: `
-- open: to every participant of the data space; else to those in contract_definition_audience.
ALTER TABLE contract_definition ADD COLUMN open INTEGER NOT NULL DEFAULT 0;
UPDATE contract_definition SET open = (body ->> 'audience') IS NULL;
-- The policy that must permit access, where there is one.
ALTER TABLE contract_definition ADD COLUMN access_policy_id TEXT REFERENCES policy (id);
CREATE INDEX contract_definition_by_access_policy
  ON contract_definition (access_policy_id) WHERE access_policy_id IS NOT NULL;
CREATE INDEX contract_definition_by_policy ON contract_definition (policy_id);

CREATE TABLE contract_definition_audience (
  definition_id TEXT NOT NULL REFERENCES contract_definition (id) ON DELETE CASCADE,
  participant_id TEXT NOT NULL,
  PRIMARY KEY (definition_id, participant_id)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO contract_definition_audience
  SELECT d.id, a.value FROM contract_definition d, json_each(d.body, '$.audience') a;

-- The expression must be spelled as in the catalog's filter, or it is not used.
CREATE INDEX asset_by_title ON asset (body ->> 'title');
`,
};
