import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../cli/src/main.ts';

const root = join(import.meta.dirname, '..', '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const pages = globSync(['*.md', 'docs/**/*.md', '{bench,examples,fl-core,test,usage-policies}/**/*.md'], {
  cwd: root,
  exclude: ['**/node_modules/**'],
}).toSorted();
const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };

/** The code in a page: between backquotes, in fences, indented by four spaces. */
const codeIn = (page: string): string =>
  [...page.matchAll(/`[^`\n]+`|```.*?```|^ {4}.*$/gms)].map(([code]) => code.replaceAll('`', '\n')).join('\n');

/** @returns what is wrong with a command line that begins with `foedus`: a command or an option that is not there */
function wrongWith(line: string): string[] {
  let command: ReturnType<typeof createProgram> = createProgram();
  const words = line
    .replaceAll(/'[^']*'/g, 'QUOTED')
    .split(/\s+/)
    .slice(1);
  while (command.commands.length > 0) {
    const next = command.commands.find((each) => each.name() === words[0]);
    if (next === undefined) break;
    words.shift();
    command = next;
  }
  const [first] = words;
  const alternatives =
    first !== undefined && /^[a-z][a-z-]*$/.test(first) && command.commands.length > 0 ? [first] : [];
  const options = words.filter((word) => /^--?[a-z]/.test(word) && word !== '--help' && word !== '--verbose');
  return [
    ...alternatives.filter((word) => word !== 'help').map((word) => `no command ${word} in: ${line}`),
    ...options
      .filter((word) => !command.options.some(({ long, short }) => long === word || short === word))
      .map((word) => `no option ${word} in: ${line}`),
  ];
}

/** GitHub's name of a heading, as links use it. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');

describe.each(pages)('%s', (file) => {
  const page = read(file);
  const code = codeIn(page);

  it('names only commands and options that exist', () => {
    const lines = code
      .replaceAll(/\\\n\s*/g, ' ')
      .split('\n')
      .flatMap((line) => /^\s*(?:npx )?(foedus [a-z].*?)(?:\s+#.*)?$/.exec(line)?.[1] ?? []);
    expect(lines.flatMap(wrongWith)).toEqual([]);
    const run = [...code.matchAll(/npm run ([a-z][a-z:-]+)/g)].map(([, name]) => name!);
    expect(run.filter((name) => scripts[name] === undefined)).toEqual([]);
  });

  it('links only to what is there', () => {
    const prose = page.replaceAll(/```.*?```|`[^`\n]*`/gs, (text) => text.replaceAll(/[^\n]/g, ' '));
    const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
    const broken = targets
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [path = '', name] = target.split('#');
        const to = path === '' ? file : join(dirname(file), path);
        if (!existsSync(join(root, to))) return true;
        return name !== undefined && ![...read(to).matchAll(/^#+ (.*)$/gm)].some(([, text]) => anchor(text!) === name);
      });
    expect(broken).toEqual([]);
  });
});

it('docs/checks.md has every script that tests or measures', () => {
  const page = read('docs/checks.md');
  const missing = Object.keys(scripts)
    .filter((name) => /^(bench|conformance|test|setup)(:|$)/.test(name) || name === 'check')
    .filter((name) => !page.includes(`\`npm run ${name}\``) && !page.includes(`\`npm ${name}\``));
  expect(missing).toEqual([]);
});
