/** A part of the rig in a process of its own, which is asked by messages. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpuMs } from './process-memory.ts';

type Calls = Readonly<Record<string, (argument: never) => unknown>>;

interface Question {
  readonly number: number;
  readonly name: string;
  readonly argument: unknown;
}
interface Answer {
  readonly number: number;
  readonly result?: unknown;
  readonly error?: string;
}

export interface Part extends AsyncDisposable {
  /** @throws Error with the message of the call's own */
  ask<T>(name: string, argument?: object): Promise<T>;
  cpuMs(): Promise<number>;
}

/** @param path a program that ends up in `answerQuestions` */
export function startPart(path: string): Part {
  const child = fork(path, { execArgv: process.execArgv });
  const open = new Map<number, PromiseWithResolvers<unknown>>();
  let number = 0;
  child.on('message', (answer) => {
    const { number: of, result, error } = answer as Answer;
    const waiting = open.get(of);
    open.delete(of);
    if (error === undefined) waiting?.resolve(result);
    else waiting?.reject(new Error(error));
  });
  child.on('exit', (code) => {
    for (const { reject } of open.values()) reject(new Error(`${path} ended with code ${code}`));
  });
  const ask: Part['ask'] = async <T>(name: string, argument?: object) => {
    number += 1;
    const answer = Promise.withResolvers<unknown>();
    open.set(number, answer);
    child.send({ number, name, argument } satisfies Question);
    return (await answer.promise) as T;
  };
  return {
    ask,
    cpuMs: () => ask<number>('cpuMs'),
    [Symbol.asyncDispose]: async () => {
      const exit = once(child, 'exit');
      child.disconnect();
      await exit;
    },
  };
}

/** Answers the other process until it lets go of this one. */
export function answerQuestions(calls: Calls, end: () => Promise<void>): void {
  const all: Calls = { cpuMs, ...calls };
  process.on('message', (message) => {
    const { number, name, argument } = message as Question;
    const reply = (answer: Omit<Answer, 'number'>): void => void process.send?.({ number, ...answer });
    (async () => await all[name]!(argument as never))().then(
      (result) => reply({ result }),
      (error: Error) => reply({ error: error.stack ?? error.message }),
    );
  });
  process.once('disconnect', () => void end());
}
