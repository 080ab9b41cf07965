/** Why a certificate could not be made or an authority not be opened; `code` is stable. */
export class CertificateError extends Error {
  override readonly name: string = 'CertificateError';
  readonly code: 'already-exists' | 'bad-input' | 'bad-authority';

  constructor(code: CertificateError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
