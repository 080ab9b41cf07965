import { execFile, spawn } from 'node:child_process';
import { existsSync, globSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

/** The kit's release; changed here and nowhere else. */
const KIT = '1.0.0-RC6';
const KIT_MODULES = [
  'core',
  'dsp-api',
  'dsp-system',
  'dsp-metadata',
  'dsp-catalog',
  'dsp-contract-negotiation',
  'dsp-transfer-process',
];
const DEPENDENCIES: readonly (readonly [group: string, artifact: string, version: string])[] = [
  ...KIT_MODULES.map((module) => ['org.eclipse.dataspacetck.dsp', module, KIT] as const),
  // What the kit runs on: its own runtime throws away whether a run has failed, JUnit's launcher does not.
  ['org.junit.platform', 'junit-platform-console', '6.0.2'],
  // Maven takes the kit's okhttp for the empty umbrella that it is.
  ['com.squareup.okhttp3', 'okhttp-jvm', '5.3.0'],
];
const NEEDS =
  'The conformance kit needs a Java runtime (17 or newer) and Maven. On Debian: apt-get install maven default-jre-headless';

/**
 * Brings the kit and all that it needs into `cache`, unless it is there already.
 *
 * @returns its class path
 */
export async function fetchKit(cache: string): Promise<string> {
  const folder = join(cache, KIT);
  if (!existsSync(folder)) {
    await version('mvn');
    const partial = `${folder}.partial-${process.pid}`;
    mkdirSync(partial, { recursive: true });
    try {
      writeFileSync(join(partial, 'pom.xml'), pom());
      const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=lib'];
      await promisify(execFile)('mvn', ['--batch-mode', '--quiet', ...goal], { cwd: partial }).catch(
        (error: unknown) => {
          throw new Error(`Maven could not fetch the conformance kit: ${(error as { stdout: string }).stdout}`);
        },
      );
      renameSync(partial, folder);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  }
  return globSync('lib/*.jar', { cwd: folder })
    .sort()
    .map((jar) => join(folder, jar))
    .join(delimiter);
}

export interface KitRun {
  readonly exitCode: number | null;
  readonly output: readonly string[];
}

/**
 * Runs the kit to its end.
 *
 * @param properties the kit's settings
 * @param onLine called for each line that it prints
 * @param limitMs after so many milliseconds it is stopped
 */
export async function runKit(
  classPath: string,
  properties: Readonly<Record<string, string>>,
  onLine: (line: string) => void,
  limitMs: number,
): Promise<KitRun> {
  await version('java');
  const settings = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`);
  const launcher = [
    'org.junit.platform.console.ConsoleLauncher',
    'execute',
    '--disable-banner',
    '--disable-ansi-colors',
  ];
  const selection = ['--select-package', 'org.eclipse.dataspacetck.dsp.verification', '--details', 'testfeed'];
  const kit = spawn('java', [...settings, '-cp', classPath, ...launcher, ...selection], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: limitMs,
  });
  const output: string[] = [];
  const ended = new Promise<number | null>((resolve, reject) => {
    kit.once('error', reject);
    kit.once('close', resolve);
  });
  createInterface({ input: kit.stdout }).on('line', (line) => {
    output.push(line);
    onLine(line);
  });
  return { exitCode: await ended, output };
}

async function version(program: 'java' | 'mvn'): Promise<void> {
  await promisify(execFile)(program, ['-version']).catch((cause: unknown) => {
    throw new Error(`There is no ${program} here. ${NEEDS}`, { cause });
  });
}

function pom(): string {
  const dependencies = DEPENDENCIES.map(
    ([group, artifact, release]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${release}</version></dependency>`,
  );
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>foedus</groupId><artifactId>dsp-conformance</artifactId><version>1</version>
  <dependencies>${dependencies.join('\n    ')}</dependencies>
</project>
`;
}
