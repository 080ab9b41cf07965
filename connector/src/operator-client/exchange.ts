import { Agent, request } from 'undici';

/** One request and its answer, whole, as text. */
export type Exchange = (url: URL, init: ExchangeInit) => Promise<ExchangeAnswer>;

export interface ExchangeInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal: AbortSignal | null;
}

/** What is read of a Response. */
export interface ExchangeAnswer {
  readonly status: number;
  readonly headers: Pick<Headers, 'get'>;
  text(): Promise<string>;
}

const agent = new Agent();

/** Without the streams and header objects that the global fetch makes for every call. Redirects are not followed. */
export const exchangeByUndici: Exchange = async (url, { method, headers, body, signal }) => {
  const answer = await request(url, { method, headers, body: body ?? null, signal, dispatcher: agent });
  return {
    status: answer.statusCode,
    headers: {
      get(name) {
        const value = answer.headers[name];
        return Array.isArray(value) ? value.join(', ') : (value ?? null);
      },
    },
    text: () => answer.body.text(),
  };
};
