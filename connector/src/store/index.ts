export { openDatabase, type Database, type Migration } from './database.ts';
