/** The languages in which a policy can be read. */
export type Language = 'en' | 'de';

export const LANGUAGES: readonly Language[] = ['en', 'de'];

export type Words = Readonly<Record<Language, string>>;
