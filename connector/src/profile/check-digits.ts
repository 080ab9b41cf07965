/**
 * Check digits of identifiers: what tells an account number from another number of the same length. All take text
 * without separators and answer whether its check digits are right.
 */

/** Luhn (ISO/IEC 7812-1 annex B): payment cards. */
export function luhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i += 1) {
    const digit = Number(digits[digits.length - 1 - i]);
    const doubled = i % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return digits.length > 0 && sum % 10 === 0;
}

/** ISO 13616 with ISO/IEC 7064 MOD 97-10: an IBAN in capitals. */
export function iban(text: string): boolean {
  if (!/^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$/.test(text)) return false;
  const moved = text.slice(4) + text.slice(0, 4);
  let rest = 0;
  for (const character of moved) {
    const value = parseInt(character, 36);
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97;
  }
  return rest === 1;
}

/** ISO/IEC 7064 MOD 11,10 with the rules of the German tax identification number (section 139b AO): 11 digits. */
export function germanTaxId(digits: string): boolean {
  if (!/^[1-9]\d{10}$/.test(digits)) return false;
  // Of the first ten digits one comes two or three times, the others once at the most.
  const counts = new Map<string, number>();
  for (const digit of digits.slice(0, 10)) counts.set(digit, (counts.get(digit) ?? 0) + 1);
  const repeated = [...counts.values()].filter((count) => count > 1);
  if (repeated.length !== 1 || repeated[0]! > 3) return false;
  let product = 10;
  for (const digit of digits.slice(0, 10)) {
    const sum = (Number(digit) + product) % 10 || 10;
    product = (sum * 2) % 11;
  }
  return (11 - product) % 10 === Number(digits[10]);
}

/** The French NIR (social security): 13 digits and a key of 97 minus the number modulo 97. */
export function frenchNir(digits: string): boolean {
  return /^[12]\d{14}$/.test(digits) && 97 - Number(BigInt(digits.slice(0, 13)) % 97n) === Number(digits.slice(13));
}

/** The Spanish DNI and NIE: a number and a letter that is the number modulo 23. */
export function spanishDni(text: string): boolean {
  const parts = /^([XYZ]?)(\d{7,8})([A-Z])$/.exec(text);
  if (parts === null) return false;
  const [, prefix = '', number = '', letter = ''] = parts;
  if (prefix === '' ? number.length !== 8 : number.length !== 7) return false;
  const whole = Number((prefix === '' ? '' : String('XYZ'.indexOf(prefix))) + number);
  return 'TRWAGMYFPDXBNJZSQVHLCKE'[whole % 23] === letter;
}

/** The number on a social security card of the United States: no check digit, but parts that are never given out. */
export function americanSsn(text: string): boolean {
  return /^(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}$/.test(text);
}
