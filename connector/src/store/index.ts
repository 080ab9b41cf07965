export { openDatabase, type Database, type Migration } from './database.ts';
export { createTransact, type Transact, type Transaction } from './transact.ts';
