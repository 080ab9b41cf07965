import { trace } from '@opentelemetry/api';
import { Writable } from 'node:stream';
import { styleText } from 'node:util';
import { destination, pino, stdTimeFunctions, type DestinationStream, type Logger } from 'pino';

const LEVELS = new Set(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']);

/** Never written, wherever a log call passes them by mistake. */
const SECRETS = ['token', 'authorization', 'privateKey', 'password', 'secret'];

/**
 * The log of a program: JSON lines on stderr with the ids of the current trace, or one line for people where stderr is
 * a terminal. `LOG_LEVEL` sets the least level (default `info`).
 *
 * @param target where JSON lines go instead of stderr
 */
export function createLogger(
  base: { readonly program: string; readonly participantId?: string },
  env: Readonly<Record<string, string | undefined>>,
  target?: DestinationStream,
): Logger {
  const level = env.LOG_LEVEL?.toLowerCase() ?? 'info';
  return pino(
    {
      level: LEVELS.has(level) ? level : 'info',
      base,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '(hidden)' },
      mixin: () => {
        const span = trace.getActiveSpan()?.spanContext();
        return span ? { trace_id: span.traceId, span_id: span.spanId } : {};
      },
    },
    target ?? (process.stderr.isTTY ? humanLines(process.stderr) : destination({ dest: 2, sync: true })),
  );
}

/** Turns JSON lines into lines for people: time, level, message, what else there is. */
export function humanLines(out: NodeJS.WritableStream): Writable {
  return new Writable({
    decodeStrings: false,
    write: (line: string, _encoding, done) => {
      out.write(`${humanLine(line)}\n`);
      done();
    },
  });
}

function humanLine(line: string): string {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line.trimEnd();
  }
  const { level, time, msg } = entry;
  const { err, ...rest } = omit(entry, 'level', 'time', 'msg', 'program', 'participantId', 'trace_id', 'span_id');
  const clock = new Date(String(time)).toTimeString().slice(0, 8);
  const name = String(level).toUpperCase().padEnd(5);
  const colour = level === 'error' || level === 'fatal' ? 'red' : level === 'warn' ? 'yellow' : 'cyan';
  const facts = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value)}`,
  );
  const failure = err as { message?: string; stack?: string } | undefined;
  if (failure) facts.push(String(level === 'debug' ? failure.stack : failure.message));
  const paint = (style: 'dim' | typeof colour, text: string) => styleText(style, text, { stream: process.stderr });
  return [paint('dim', clock), paint(colour, name), typeof msg === 'string' ? msg : '', paint('dim', facts.join(' '))]
    .join(' ')
    .trimEnd();
}

function omit(entry: Record<string, unknown>, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(entry).filter(([key]) => !names.includes(key)));
}
