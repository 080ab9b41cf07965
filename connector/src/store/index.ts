export { openDatabase, type Database, type Migration } from './database.ts';
export { createGroupCommit, type GroupCommit } from './group-commit.ts';
export { createTransact, type Transact, type Transaction } from './transact.ts';
