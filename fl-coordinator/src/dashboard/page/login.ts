/** Who sees the page must hold the operator's token; it becomes a cookie that scripts cannot read. */
import { h, setText } from './element.ts';
import { RequestError, login } from './operator-api.ts';

function tokenInAddress(): string | null {
  return new URLSearchParams(location.hash.slice(1)).get('token');
}

export function tokenIsInAddress(): boolean {
  return tokenInAddress() !== null;
}

/** Takes `#token=…` out of the address, so that it is neither bookmarked nor shared. */
export function takeTokenFromAddress(): string | null {
  const token = tokenInAddress();
  if (token !== null) history.replaceState(null, '', location.pathname);
  return token;
}

/** @returns the form, with a message to begin with. When the coordinator accepts a token, the page starts again. */
export function createLogin(message: string): HTMLElement {
  const token = h('input', {
    id: 'token',
    name: 'token',
    type: 'password',
    autocomplete: 'current-password',
    required: true,
  });
  const problem = h('p', { class: 'problem', role: 'alert' }, message);
  const button = h('button', { type: 'submit', class: 'primary' }, 'Open the dashboard');
  const form = h(
    'form',
    { class: 'login panel' },
    h('h1', {}, 'Training sessions'),
    // Password managers file a secret under a name.
    h('input', { type: 'text', name: 'username', autocomplete: 'username', value: 'operator', hidden: true }),
    h('label', { for: 'token' }, 'Operator’s token'),
    token,
    h(
      'p',
      { class: 'explanation' },
      'It is in the file that operator.tokenFile names in the coordinator’s configuration.',
    ),
    problem,
    button,
  );
  const submit = async (): Promise<void> => {
    button.disabled = true;
    try {
      await login(token.value.trim());
      location.reload();
    } catch (error) {
      const wrong = error instanceof RequestError && error.status === 401;
      setText(
        problem,
        wrong ? 'The coordinator does not know this token.' : String(error instanceof Error ? error.message : error),
      );
      token.select();
    } finally {
      button.disabled = false;
    }
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void submit();
  });
  return form;
}
