/** The sign-in dialog and where the token is kept: in this tab's session, nowhere else. */
import { HttpError, signIn } from './api-client.ts';
import { byId } from './dom.ts';

const KEY = 'milepost.token';

export function savedToken(): string | null {
  return sessionStorage.getItem(KEY);
}

export function forgetToken(): void {
  sessionStorage.removeItem(KEY);
}

/** Asks until there is a token. `reason` says why it is asked for, when it is not the first time. */
export function askForToken(isDemo: boolean, reason: string): Promise<string> {
  const dialog = byId('sign-in', HTMLDialogElement);
  const form = byId('sign-in-form', HTMLFormElement);
  const email = byId('email', HTMLInputElement);
  const password = byId('password', HTMLInputElement);
  const pasted = byId('token', HTMLTextAreaElement);
  const error = byId('sign-in-error', HTMLElement);
  const submit = byId('sign-in-submit', HTMLButtonElement);
  const byPassword = byId('by-password', HTMLElement);
  const byToken = byId('by-token', HTMLDetailsElement);
  byPassword.hidden = !isDemo;
  byToken.open = !isDemo;
  error.textContent = reason;
  if (!dialog.open) dialog.showModal();
  (isDemo ? email : pasted).focus();

  return new Promise((resolve) => {
    const done = (token: string) => {
      form.removeEventListener('submit', onSubmit);
      dialog.removeEventListener('cancel', onCancel);
      password.value = '';
      pasted.value = '';
      error.textContent = '';
      sessionStorage.setItem(KEY, token);
      dialog.close();
      resolve(token);
    };
    const onCancel = (event: Event) => event.preventDefault();
    const onSubmit = (event: SubmitEvent) => {
      event.preventDefault();
      const token = pasted.value.trim();
      if (token !== '') {
        done(token);
        return;
      }
      if (!isDemo || email.value === '' || password.value === '') {
        error.textContent = isDemo ? 'Enter e-mail and password.' : 'Paste a token.';
        return;
      }
      submit.disabled = true;
      error.textContent = '';
      signIn(email.value, password.value)
        .then(done, (reason: unknown) => {
          error.textContent =
            reason instanceof HttpError ? reason.message : 'The server cannot be reached.';
        })
        .finally(() => {
          submit.disabled = false;
        });
    };
    form.addEventListener('submit', onSubmit);
    dialog.addEventListener('cancel', onCancel);
  });
}
