import { glob, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { FoedusError } from '../../errors.ts';

export type FileFormat = 'parquet' | 'arrow' | 'csv';

/** Files of one data set. */
const MOST_FILES = 10_000;

export const EXTENSIONS: Record<FileFormat, string> = {
  parquet: '**/*.parquet',
  arrow: '**/*.{arrow,arrows,feather}',
  csv: '**/*.csv',
};

/** A file, or the files below a folder. */
export interface FileSelection {
  /** Absolute. Glob characters in it mean themselves. */
  readonly path: string;
  /** Glob below the folder. @default every file with an extension of the format */
  readonly pattern?: string | undefined;
}

/**
 * @returns absolute paths, sorted; one where `path` is a file
 * @throws FoedusError `bad-request` for a path that is not absolute, or where nothing is found
 */
export async function sourceFiles(format: FileFormat, { path, pattern }: FileSelection): Promise<string[]> {
  if (!isAbsolute(path) || path.includes('\0')) {
    throw new FoedusError('bad-request', `"${path}" is not an absolute path. Give the file's whole path.`);
  }
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    throw new FoedusError('bad-request', `There is no file or folder ${path}. Check the path and the node's rights.`);
  }
  if (!found.isDirectory()) return [path];
  const files: string[] = [];
  for await (const entry of glob(pattern ?? EXTENSIONS[format], { cwd: path, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    files.push(join(entry.parentPath, entry.name));
    if (files.length > MOST_FILES) {
      throw new FoedusError('bad-request', `More than ${MOST_FILES} files below ${path}. Write fewer, larger files.`);
    }
  }
  if (files.length === 0) throw new FoedusError('bad-request', `No file below ${path} fits the pattern.`);
  return files.sort();
}
